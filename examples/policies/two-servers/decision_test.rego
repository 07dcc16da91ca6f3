# What the house allows. The table of test/policies/cases.ts says more; this is how a test reads.
package example_test

import data.mcp.inbound
import data.mcp.lib.rbac
import data.mcp.outbound

alice := {
	"issuer": "https://idp.example.com",
	"subject": "alice",
	"clientId": "claude-code",
	"scopes": ["ledger:read", "ledger:write"],
	"audience": [],
	"actor": [],
	"claims": {"roles": ["analyst"], "tenant": "acme"},
	"expiresAt": 1800000000,
	"tokenId": null,
	"binding": null,
}

call(tool, arguments) := {
	"version": 1,
	"mcp": {
		"era": "modern",
		"revision": "2026-07-28",
		"kind": "request",
		"method": "tools/call",
		"targets": [{"type": "tool", "name": tool}],
		"tool": tool,
		"arguments": arguments,
		"backend": "enterprise-ledger",
	},
	"principal": alice,
	"tool": {"title": null, "annotations": {}, "known": true},
	"request": {},
}

transfer(amount) := call("transferFunds", {"from": "ACC-1", "to": "ACC-2", "amount": amount, "currency": "EUR"})

test_an_analyst_transfers if {
	inbound.decision == {"allow": true, "reason": "allowed"} with input as transfer(250)
	outbound.decision.scope == "enterprise-ledger:transferFunds" with input as transfer(250)
}

test_up_to_the_limit if {
	inbound.decision == {
		"allow": false,
		"reason": "limit_exceeded",
		"message": "amount is at most 1000000 for your role.",
	} with input as transfer(1000001)
}

test_half_of_it_is_on_trial if {
	inbound.decision == {"allow": true, "reason": "allowed", "log_only": [{
		"rule": "half-the-limit",
		"reason": "limit_exceeded",
		"message": "amount is at most 500000.",
	}]} with input as transfer(600000)
}

test_a_freeze if {
	inbound.decision == {"allow": false, "reason": "read_only"} with input as transfer(250)
		with data.read_only.backends as ["enterprise-ledger"]
}

test_the_table_of_roles_is_sound if count(rbac.mistakes) == 0

# A condition for a tool that is spelt otherwise would hold for nobody.
test_conditions_are_for_tools_that_some_role_may_use if {
	known := {tool | some row in data.rbac.roles; some tool in row.may["enterprise-ledger"].tools}
	every tool, _ in data.abac["enterprise-ledger"].tools {
		tool in known
	}
}
