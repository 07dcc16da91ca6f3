# The people, the agent and the messages the tests speak of. Not part of the bundle.
package mcp.house_test

import rego.v1

alice := person("alice", "analyst")

bob := person("bob", "employee")

carol := person("carol", "auditor")

everything := ["ledger:read", "ledger:write", "pii:read", "audit:read", "directory:read"]

person(name, role) := {
	"issuer": "https://idp.example.com",
	"subject": name,
	"clientId": "claude-code",
	"scopes": everything,
	"audience": ["https://gateway.example.com/mcp"],
	"actor": [],
	"claims": {"roles": [role], "tenant": "acme"},
	"expiresAt": 1800000000,
	"tokenId": "t-1",
	"binding": null,
}

agent := object.union(person("bedrock-agentcore", "agent"), {
	"clientId": "bedrock-agentcore",
	"scopes": ["ledger:read", "directory:read"],
	"claims": {"roles": ["agent"]},
})

call(principal, tool, arguments) := message(principal, {
	"method": "tools/call",
	"targets": [{"type": "tool", "name": tool}],
	"tool": tool,
	"arguments": arguments,
})

request(principal, method) := message(principal, {"method": method})

about(principal, method, targets) := message(principal, {"method": method, "targets": targets})

message(principal, mcp) := {
	"version": 1,
	"mcp": object.union(
		{
			"era": "legacy",
			"revision": "2025-11-25",
			"kind": "request",
			"targets": [],
			"tool": null,
			"arguments": null,
			"backend": "enterprise-ledger",
		},
		mcp,
	),
	"principal": principal,
	"tool": {"title": null, "annotations": {}, "known": true},
	"request": {
		"method": "POST",
		"host": "gateway.example.com",
		"path": "/ledger/mcp",
		"sourceIp": "192.0.2.7",
		"sourcePrincipal": null,
		"time": "2026-11-20T12:00:00Z",
		"headers": {},
		"context": {},
	},
}

transfer := {"from": "ACC-1", "to": "ACC-2", "amount": 250.5, "currency": "EUR"}

# The same value with the part at `path` (a JSON pointer) replaced, or taken away.
with_part(value, path, part) := json.patch(value, [{"op": "add", "path": path, "value": part}])

without(value, path) := json.patch(value, [{"op": "remove", "path": path}])

# Stands in for any value where another type was meant.
odd := [null, true, false, 0, -1, "", "any", [], [[]], ["analyst"], {}, {"a": "analyst"}, {"analyst": true}]
