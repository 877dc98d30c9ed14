"""Tools that the server itself has carried out."""
