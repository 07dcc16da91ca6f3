package mcp.lib.scopes_test

import data.mcp.lib.scopes
import data.mcp.lib.support_test as support

table := {"orders": {
	"member": ["orders:read", "orders:write"],
	"tools": {"*": ["orders:read"], "cancel": ["orders:read", "orders:write"], "odd": [], "text": "orders:read"},
	"prompts": {"close": ["orders:write"]},
	"resources": {"orders://open/": ["orders:read"]},
}}

holding(scopes) := support.is(support.user, {"scopes": scopes})

refused(input_document) := refusals if {
	refusals := scopes.refusals with input as input_document with data.scopes as table
}

step_up(needed) := {{"rule": "scopes", "reason": "insufficient_scope", "required_scopes": needed}}

test_all_scopes_of_the_row_are_needed_and_named if {
	refused(support.call(holding(["orders:read"]), "list", null)) == set()
	refused(support.call(holding(["orders:read", "orders:write"]), "cancel", null)) == set()
	every held in [[], ["orders:read"], ["orders:write"]] {
		refused(support.call(holding(held), "cancel", null)) == step_up(["orders:read", "orders:write"])
	}
	refused(support.call(holding([]), "list", null)) == step_up(["orders:read"])
}

test_scopes_are_compared_whole if {
	every scope in [
		"orders", "orders:", "orders:read ", " orders:read", "orders:read\torders:write", "ORDERS:READ", "orders:reader",
		"orders:read orders:write", "orders:*", "*", "",
	] {
		refused(support.call(holding([scope]), "list", null)) == step_up(["orders:read"])
	}
}

test_scopes_of_another_shape_are_none if {
	every scopes in [null, true, 1, "orders:read", {"a": "orders:read"}, {"orders:read": true}, [["orders:read"]]] {
		refused(support.call(holding(scopes), "list", null)) == step_up(["orders:read"])
		refused(support.request(holding(scopes), "ping")) == step_up(["orders:read"])
	}
	refused(support.without(support.call(support.user, "list", null), "/principal/scopes")) == step_up(["orders:read"])
}

test_a_tool_without_a_row if {
	bare := {"orders": {"member": ["orders:read"], "tools": {"cancel": ["orders:write"]}}}
	every tool in ["list", "Cancel", "*", "", "cancel "] {
		refusals := scopes.refusals with input as support.call(support.user, tool, null) with data.scopes as bare
		refusals == {{"rule": "scopes", "reason": "tool_unknown"}}
	}
}

test_a_row_that_asks_for_nothing_is_refused if {
	every tool in ["odd", "text"] {
		refused(support.call(support.user, tool, null)) == {{"rule": "scopes", "reason": "tool_unknown"}}
	}
}

test_prompts_and_resources if {
	refused(support.about(support.user, "prompts/get", "prompt", "close")) == set()
	refused(support.about(holding(["orders:read"]), "prompts/get", "prompt", "close")) == step_up(["orders:write"])
	refused(support.about(support.user, "prompts/get", "prompt", "other")) == {{"rule": "scopes", "reason": "policy_denied"}}
	refused(support.about(support.user, "resources/read", "resource", "orders://open/1")) == set()
	refused(support.about(support.user, "resources/read", "resource", "orders://1")) == {{"rule": "scopes", "reason": "policy_denied"}}
}

test_one_scope_makes_a_member if {
	every method in ["ping", "tools/list", "notifications/initialized", "GET", null] {
		refused(support.request(holding(["orders:write"]), method)) == set()
		refused(support.request(holding(["other"]), method)) == step_up(["orders:read"])
	}
}

test_the_handshake_needs_none if {
	every method in ["initialize", "server/discover"] {
		refused(support.request(holding([]), method)) == set()
	}
}

test_a_backend_that_is_not_in_the_table if {
	denied := {{"rule": "scopes", "reason": "policy_denied"}}
	every backend in array.concat(support.odd, ["Orders", "stock"]) {
		every asked in [support.call(support.user, "list", null), support.request(support.user, "initialize")] {
			denied & refused(support.with_part(asked, "/mcp/backend", backend)) == denied
		}
	}
	every odd in support.odd {
		denied & scopes.refusals == denied with input as support.call(support.user, "list", null) with data.scopes as odd
		denied & scopes.refusals == denied with input as support.request(support.user, "ping")
			with data.scopes as {"orders": odd}
	}
}

test_thousands_of_scopes if {
	refused(support.call(holding(array.concat(support.many, ["orders:read"])), "list", null)) == set()
	refused(support.call(holding(support.many), "list", null)) == step_up(["orders:read"])
}
