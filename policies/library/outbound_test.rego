package mcp.lib.outbound_test

import data.mcp.lib.outbound
import data.mcp.lib.support_test as support

table := {
	"max_ttl_seconds": 5,
	"defaults": {"ttl_seconds": 4, "resource": "https://default.internal"},
	"backends": {
		"orders": {
			"audience": "https://orders.internal/mcp",
			"tools": {
				"list": {},
				"pay": {"ttl_seconds": 1, "audience": "https://pay.internal", "resource": "https://pay.internal/mcp", "scope": "pay now"},
				"slow": {"ttl_seconds": 3600},
			},
		},
		"stock": {"audience": "https://stock.internal", "ttl_seconds": 2, "resource": "https://stock.internal/mcp", "tools": {"*": {}}},
		"bare": {"tools": {"*": {}}},
	},
}

answer(asked) := decision if {
	decision := outbound.decision with input as asked with data.outbound as table
}

at(backend, asked) := support.with_part(asked, "/mcp/backend", backend)

token(audience, resource, scope, seconds) := {
	"allow": true,
	"reason": "allowed",
	"audience": audience,
	"resource": resource,
	"scope": scope,
	"ttl_seconds": seconds,
}

no(reason) := {"allow": false, "reason": reason}

test_defaults_backend_and_tool if {
	orders := "https://orders.internal/mcp"
	answer(support.call(support.user, "list", null)) == token(orders, "https://default.internal", "orders:list", 4)
	answer(support.call(support.user, "pay", null)) == token("https://pay.internal", "https://pay.internal/mcp", "pay now", 1)
	answer(at("stock", support.call(support.user, "any", null))) == token("https://stock.internal", "https://stock.internal/mcp", "stock:any", 2)
}

test_no_resource_where_none_is_said if {
	plain := support.without(table, "/defaults/resource")
	decision := outbound.decision with input as support.call(support.user, "list", null) with data.outbound as plain
	object.keys(decision) == {"allow", "reason", "audience", "scope", "ttl_seconds"}
}

test_the_ceiling_holds if {
	answer(support.call(support.user, "slow", null)).ttl_seconds == 5
}

test_what_calls_no_tool_opens_none if {
	every asked in [
		support.request(support.user, "initialize"),
		support.message(support.user, {"kind": "notification", "method": "notifications/initialized"}),
		support.message(support.user, {"kind": "http", "method": "GET"}),
		support.message(support.user, {"kind": "response", "method": null}),
		support.about(support.user, "resources/read", "resource", "orders://1"),
		support.with_part(support.request(support.user, "tools/list"), "/mcp/tool", "pay"),
	] {
		answer(asked).scope == "orders:protocol"
	}
}

test_a_tool_without_a_row if {
	every tool in array.concat(support.odd, ["List", "list ", "drop", "protocol"]) {
		answer(support.call(support.user, tool, null)) == no("tool_unknown")
	}
}

# The caller names the tool. With a row for every other, a name with a space would be two scopes.
test_a_name_that_would_be_more_than_one_scope if {
	every tool in array.concat(support.odd, [
		"x stock:pay", "x\tstock:pay", "x\nstock:pay", "a\"b", "a\\b", "ä", "a b", "a:b", " ", "\u0000", "protocol",
		concat("", ["x" | some _ in numbers.range(1, 129)]),
	]) {
		clerk_or_refused(tool)
	}
}

clerk_or_refused("clerk")

clerk_or_refused(tool) if {
	tool != "clerk"
	answer(at("stock", support.call(support.user, tool, null))) == no("tool_unknown")
}

test_no_audience_no_token if {
	answer(at("bare", support.call(support.user, "list", null))) == no("policy_denied")
	answer(at("bare", support.request(support.user, "ping"))) == no("policy_denied")
}

test_a_backend_that_is_not_in_the_table if {
	every backend in array.concat(support.odd, ["Orders", "payroll"]) {
		every asked in [support.call(support.user, "list", null), support.request(support.user, "ping")] {
			answer(at(backend, asked)).allow == false
		}
	}
}

test_documents_that_are_none if {
	every document in array.concat(support.odd, [{"version": 1}, {"version": 1, "mcp": {"backend": "orders"}}]) {
		answer(document) == no("policy_denied")
	}
	every version in array.concat(support.odd, [2, "1"]) {
		answer(support.with_part(support.call(support.user, "list", null), "/version", version)) == no("policy_denied")
	}
}

test_without_a_table_there_is_no_token if {
	every odd in support.odd {
		no("policy_denied") == outbound.decision with input as support.call(support.user, "list", null) with data.outbound as odd
	}
	every member in ["max_ttl_seconds", "backends"] {
		less := object.remove(table, [member])
		no("policy_denied") == outbound.decision with input as support.call(support.user, "list", null) with data.outbound as less
	}
	never := support.without(table, "/defaults/ttl_seconds")
	no("policy_denied") == outbound.decision with input as support.call(support.user, "list", null) with data.outbound as never
}

test_a_row_that_cannot_be_read_gets_no_token if {
	every row in [null, true, "x", [], {"ttl_secnds": 1}, {"Audience": "x"}, {"scopes": "x"}, {"scope": 5}, {"scope": false}, {"audience": false}, {"ttl_seconds": "1"}, {"ttl_seconds": false}] {
		broken := support.with_part(table, "/backends/orders/tools/list", row)
		no("policy_denied") == outbound.decision with input as support.call(support.user, "list", null) with data.outbound as broken
	}
	no("tool_unknown") == outbound.decision with input as support.call(support.user, "list", null)
		with data.outbound as support.with_part(table, "/backends/orders/tools/list", false)
	every path, part in {
		"/backends/orders/ttl": 1, "/defaults/ttl_secnds": 1, "/defaults": false,
		"/max_ttl_seconds": "5", "/backends/orders/audience": false,
	} {
		broken := support.with_part(table, path, part)
		no("policy_denied") == outbound.decision with input as support.call(support.user, "list", null) with data.outbound as broken
	}
}
