"""The conversation's items as the protocol shows them."""

import dataclasses
import json
from typing import assert_never

from assistant.server.session_config import Tree
from pipeline.engines import Picture, ToolCall
from pipeline.history import (
    Approval,
    ApprovalRequest,
    Item,
    Part,
    RemoteCall,
    Spoken,
    Text,
    ToolList,
    ToolResult,
)
from pipeline.tool_servers import ListedTool, ToolFailure


def message_object(item_id: str, role: str, status: str) -> Tree:
    """Return a message without its content."""
    return {"id": item_id, "object": "realtime.item", "type": "message", "role": role, "status": status}


def item_object(item: Item) -> Tree:
    """Return an item, whatever its kind."""
    match item.parts:
        case (ToolCall(call_id, name, arguments),):
            kind = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
        case (ToolResult(call_id, output),):
            kind = {"type": "function_call_output", "call_id": call_id, "output": output}
        case (RemoteCall() | ApprovalRequest() | Approval() | ToolList() as part,):
            return {"id": item.id, **_mcp(part)}
        case parts:
            content = [_content(item.role, part) for part in parts]
            return {**message_object(item.id, item.role, item.status), "content": content}
    return {"id": item.id, "object": "realtime.item", "status": item.status, **kind}


def _mcp(part: RemoteCall | ApprovalRequest | Approval | ToolList) -> Tree:
    match part:
        case RemoteCall(call, tool, request_id, output=output, failure=failure):
            made: Tree = {"type": "mcp_call", "server_label": tool.server.label, "name": tool.name}
            made |= {"arguments": call.arguments, "approval_request_id": request_id, "output": output}
            return made | {"error": None if failure is None else _failure(failure)}
        case ApprovalRequest(tool, arguments):
            asked = {"type": "mcp_approval_request", "server_label": tool.server.label}
            return asked | {"name": tool.name, "arguments": arguments}
        case Approval(request_id, approves, reason):
            said = {"type": "mcp_approval_response", "approval_request_id": request_id}
            return said | {"approve": approves, "reason": reason}
        case ToolList(label, tools):
            return {"type": "mcp_list_tools", "server_label": label, "tools": [_listed(tool) for tool in tools]}
        case _:
            assert_never(part)


def _listed(tool: ListedTool) -> Tree:
    annotations = None if tool.annotations is None else json.loads(tool.annotations)
    shown = {"name": tool.name, "description": tool.description, "input_schema": json.loads(tool.parameters)}
    return shown | {"annotations": annotations}


def _failure(failure: ToolFailure) -> Tree:
    shown = {"type": failure.kind, "message": failure.message}
    return shown if failure.kind == "tool_execution_error" else {**shown, "code": failure.code}


def unheard(item: Item) -> Item:
    """Return a user's message as the protocol adds it: the words of its sound have events of their own."""
    if item.role != "user":
        return item
    return dataclasses.replace(
        item, parts=tuple(Spoken(None) if isinstance(part, Spoken) else part for part in item.parts)
    )


def _content(role: str, part: Part) -> Tree:
    direction = "output" if role == "assistant" else "input"
    match part:
        case Text(text):
            return {"type": f"{direction}_text", "text": text}
        case Spoken(transcript):
            return {"type": f"{direction}_audio", "transcript": transcript}
        case Picture(url, detail):
            return {"type": "input_image", "image_url": url, "detail": detail}
        case ToolCall() | ToolResult() | RemoteCall() | ApprovalRequest() | Approval() | ToolList():
            raise AssertionError("it is an item of its own")
        case _:
            assert_never(part)
