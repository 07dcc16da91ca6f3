package mcp.outbound_test

import data.mcp.outbound

test_a_call_gets_a_token_for_its_tool_alone if {
	outbound.decision == {
		"allow": true,
		"reason": "allowed",
		"audience": "https://orders.internal/mcp",
		"scope": "orders:listOrders",
		"ttl_seconds": 5,
	} with input.mcp as {"method": "tools/call", "backend": "orders", "tool": "listOrders"}
}

test_anything_else_gets_a_token_that_opens_no_tool if {
	outbound.decision.scope == "orders:protocol" with input.mcp as {"method": "tools/list", "backend": "orders", "tool": null}
}

test_a_backend_that_is_not_in_the_table_gets_none if {
	not outbound.decision with input.mcp as {"method": "tools/list", "backend": "other", "tool": null}
}
