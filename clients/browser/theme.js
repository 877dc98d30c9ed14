// @ts-check
/** Before the first paint: light or dark, as the person chose. */
{
  let theme = "system";
  try {
    theme = JSON.parse(localStorage.getItem("parley.settings") ?? "{}").theme;
  } catch {
    // Nothing was kept, or it can't be read: then the system decides.
  }
  document.documentElement.dataset.theme = theme === "light" || theme === "dark" ? theme : "system";
}
