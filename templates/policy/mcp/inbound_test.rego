package mcp.inbound_test

import data.mcp.inbound

yes := {"allow": true, "reason": "allowed"}

ask(method, roles, scopes) := {
	"version": 1,
	"mcp": {"method": method, "backend": "orders", "tool": null, "arguments": null},
	"principal": {"subject": "alice", "scopes": scopes, "claims": {"roles": roles}},
}

call(tool, arguments, roles) := object.union(
	ask("tools/call", roles, ["orders:read", "orders:write"]),
	{"mcp": {"tool": tool, "arguments": arguments}},
)

reason := inbound.decision.reason

test_everybody_may_connect_and_list if {
	inbound.decision == yes with input as ask("initialize", [], [])
	inbound.decision == yes with input as ask("tools/list", [], [])
}

test_other_methods_are_refused if {
	reason == "method_forbidden" with input as ask("prompts/get", ["manager"], ["orders:read"])
}

test_a_clerk_may_list_orders if {
	inbound.decision == yes with input as call("listOrders", {}, ["clerk"])
}

test_a_tool_that_is_not_in_the_table_is_unknown if {
	reason == "tool_unknown" with input as call("dropOrders", {}, ["manager"])
}

test_somebody_without_a_role_may_call_nothing if {
	reason == "role_missing" with input as call("listOrders", {}, ["guest"])
	reason == "role_missing" with input as call("listOrders", {}, "clerk")
}

test_what_scopes_are_missing_is_said if {
	decision := inbound.decision with input as object.union(
		call("refundOrder", {"amount": 10}, ["clerk"]),
		{"principal": {"scopes": ["orders:read"]}},
	)
	decision == {"allow": false, "reason": "insufficient_scope", "required_scopes": ["orders:write"]}
}

test_each_role_has_its_limit if {
	inbound.decision == yes with input as call("refundOrder", {"amount": 100}, ["clerk"])
	reason == "limit_exceeded" with input as call("refundOrder", {"amount": 100.01}, ["clerk"])
	inbound.decision == yes with input as call("refundOrder", {"amount": 5000}, ["clerk", "manager"])
}

test_an_odd_amount_is_none if {
	every amount in [-1, "1", null, [], {}] {
		reason == "limit_exceeded" with input as call("refundOrder", {"amount": amount}, ["manager"])
	}
	reason == "limit_exceeded" with input as call("refundOrder", {}, ["manager"])
}
