"""A model that is faked on loopback, for every host: it calls the tools that a test tells it, one after the other, and remembers what
it was shown. It speaks Anthropic's messages, OpenAI's responses and chat completions, and Gemini's content."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeModel:
    """Calls `calls`, pairs of a tool's name and its arguments, and then says that it is done."""

    def __init__(self, calls):
        self.begin(calls)
        handler = type("Handler", (Handler,), {"model": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def begin(self, calls, until=None, meanwhile=None):
        """Begins anew. With `until` it says that it is done before it calls anything, as long as that was not said to it; the first
        time it does `meanwhile`."""
        self.calls, self.shown, self.tools, self.asked = calls, [], set(), []
        self.until, self.meanwhile = until, meanwhile

    def next(self, tools, shown):
        """Returns the next call as name, namespace and arguments, or nothing when there is none for these tools."""
        named = dict(flat(tools))
        if not named:
            return None
        self.tools |= set(named)
        self.asked.append(self.body)
        if self.until and self.until not in self.body:
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile:
                meanwhile()
            return None
        # A result is shown again with every turn that follows.
        if len(shown) > len(self.shown):
            self.shown = [result if isinstance(result, str) else json.dumps(result, ensure_ascii=False) for result in shown]
        if len(shown) >= len(self.calls):
            return None
        wanted, arguments = self.calls[len(shown)]
        name = next((name for name in named if name.endswith(wanted)), None)
        return name and (name, named[name], arguments)


def flat(tools):
    """Returns every tool's name and the namespace it stands in."""
    for tool in tools or []:
        if tool.get("type") == "namespace":
            yield from ((inner["name"], tool["name"]) for inner in tool["tools"])
        elif "functionDeclarations" in tool:
            yield from ((inner["name"], None) for inner in tool["functionDeclarations"])
        elif name := tool.get("function", tool).get("name"):
            yield name, None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer("")

    def do_GET(self):
        self.answer({"data": [], "models": [], "object": "list"})

    def do_POST(self):
        body = json.loads(self.body() or b"{}")
        self.model.body = json.dumps(body, ensure_ascii=False)
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            self.answer({"input_tokens": 1})
        elif path.endswith("/messages"):
            self.as_anthropic(body)
        elif path.endswith("/responses"):
            self.as_openai(body)
        elif path.endswith("/chat/completions"):
            self.as_chat(body)
        elif "enerateContent" in path:
            self.as_gemini(body)
        else:
            self.answer({})

    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        whole = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def answer(self, body, kind="application/json"):
        sent = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def stream(self, events, named=False):
        lines = []
        for event in events:
            lines += [f"event: {event['type']}"] if named else []
            lines += [f"data: {event if isinstance(event, str) else json.dumps(event)}", ""]
        self.answer("\n".join(lines) + "\n", "text/event-stream")

    def as_anthropic(self, body):
        """Anthropic's messages."""
        contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
        shown = [block["content"] for content in contents for block in content if block["type"] == "tool_result"]
        call = self.model.next(body.get("tools"), shown)
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": f"msg_{len(shown)}", "type": "message", "role": "assistant", "model": body["model"], "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": usage}
        if call:
            block = {"type": "tool_use", "id": f"toolu_{len(shown)}", "name": call[0], "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call[2])}
        else:
            block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": "done"}
        stop = "tool_use" if call else "end_turn"
        if not body.get("stream"):
            return self.answer(message | {"content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn"})
        self.stream([
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ], named=True)

    def as_openai(self, body):
        """OpenAI's responses."""
        items = [item for item in body["input"] if isinstance(item, dict)]
        shown = [item["output"] for item in items if item.get("type") == "function_call_output"]
        call = self.model.next(body.get("tools"), shown)
        if call:
            item = {"type": "function_call", "id": f"f{len(shown)}", "call_id": f"call_{len(shown)}", "name": call[0],
                    "arguments": json.dumps(call[2]), "status": "completed"} | ({"namespace": call[1]} if call[1] else {})
        else:
            text = {"type": "output_text", "text": "done", "annotations": []}
            item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [text]}
        usage = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}
        response = {"id": f"resp_{len(shown)}", "object": "response", "status": "completed", "model": body.get("model"),
                    "output": [item], "usage": usage}
        self.stream([
            {"type": "response.created", "response": response | {"status": "in_progress", "output": []}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": response},
        ], named=True)

    def as_chat(self, body):
        """OpenAI's chat completions."""
        shown = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        call = self.model.next(body.get("tools"), shown)
        said = {"role": "assistant", "content": None if call else "done"}
        if call:
            function = {"name": call[0], "arguments": json.dumps(call[2])}
            said["tool_calls"] = [{"index": 0, "id": f"call_{len(shown)}", "type": "function", "function": function}]
        end = "tool_calls" if call else "stop"
        whole = {"id": f"c{len(shown)}", "created": 1, "model": body.get("model")}
        usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
        if not body.get("stream"):
            choice = {"index": 0, "message": said, "finish_reason": end}
            return self.answer(whole | {"object": "chat.completion", "choices": [choice]} | usage)
        chunk = whole | {"object": "chat.completion.chunk"}
        self.stream([
            chunk | {"choices": [{"index": 0, "delta": said, "finish_reason": None}]},
            chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": end}]} | usage,
            "[DONE]",
        ])

    def as_gemini(self, body):
        """Gemini's content."""
        parts = [part for content in body.get("contents", []) for part in content.get("parts", [])]
        shown = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
        call = self.model.next(body.get("tools"), shown)
        part = {"functionCall": {"name": call[0], "args": call[2]}} if call else {"text": "done"}
        if body.get("generationConfig", {}).get("responseMimeType") == "application/json":
            part = {"text": "{}"}
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake"}
        if "streamGenerateContent" in self.path:
            self.stream([answer])
        else:
            self.answer(answer)
