# The people and messages the tests of the library speak of. Not part of a bundle.
package mcp.lib.support_test

user := {
	"issuer": "https://idp.example.com",
	"subject": "alice",
	"clientId": "desk",
	"scopes": ["orders:read", "orders:write"],
	"audience": ["https://gateway.example.com/orders/mcp"],
	"actor": [],
	"claims": {"roles": ["clerk"], "tenant": "acme", "sub": "alice"},
	"expiresAt": 1800000000,
	"tokenId": "t-1",
	"binding": null,
}

machine := with_part(object.union(user, {"subject": "robot", "clientId": "robot"}), "/claims", {"roles": ["robot"]})

is(principal, more) := object.union(principal, more)

call(principal, tool, arguments) := message(principal, {
	"method": "tools/call",
	"targets": [{"type": "tool", "name": tool}],
	"tool": tool,
	"arguments": arguments,
})

about(principal, method, type, name) := message(principal, {
	"method": method,
	"targets": [{"type": type, "name": name}],
})

request(principal, method) := message(principal, {"method": method})

message(principal, mcp) := {
	"version": 1,
	"mcp": object.union(
		{
			"era": "modern",
			"revision": "2026-07-28",
			"kind": "request",
			"targets": [],
			"tool": null,
			"arguments": null,
			"backend": "orders",
		},
		mcp,
	),
	"principal": principal,
	"tool": {"title": null, "annotations": {}, "known": true},
	"request": {
		"method": "POST",
		"host": "gateway.example.com",
		"path": "/orders/mcp",
		"sourceIp": "192.0.2.7",
		"sourcePrincipal": null,
		"time": "2026-11-20T12:00:00Z",
		"headers": {},
		"context": {},
	},
}

# The same with the part at `path` (a JSON pointer) replaced, or taken away.
with_part(value, path, part) := json.patch(value, [{"op": "add", "path": path, "value": part}])

without(value, path) := json.patch(value, [{"op": "remove", "path": path}])

# Stands in for any value where another type was meant.
odd := [null, true, false, 0, -1, "", "*", "clerk", [], [[]], ["clerk"], {}, {"a": "clerk"}, {"clerk": true}]

many := [concat("", ["x", json.marshal(at)]) | some at in numbers.range(1, 1000)]
