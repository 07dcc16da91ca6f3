package mcp.outbound_test

import data.mcp.house_test as house
import data.mcp.outbound
import rego.v1

no(reason) := {"allow": false, "reason": reason}

token(audience, scope, seconds) := {
	"allow": true,
	"reason": "allowed",
	"audience": audience,
	"scope": scope,
	"ttl_seconds": seconds,
}

ledger := "https://enterprise-ledger.internal/mcp"

directory := "https://employee-directory.internal/mcp"

test_a_call_gets_a_token_for_its_tool if {
	asked := house.call(house.alice, "transferFunds", house.transfer)
	outbound.decision == token(ledger, "enterprise-ledger:transferFunds", 5) with input as asked

	other := house.with_part(house.call(house.bob, "getManager", null), "/mcp/backend", "employee-directory")
	outbound.decision == token(directory, "employee-directory:getManager", 5) with input as other
}

test_anything_else_gets_a_token_for_the_protocol if {
	every pair in [
		["request", "tools/list"],
		["request", "initialize"],
		["request", "resources/read"],
		["notification", "notifications/initialized"],
		["http", "GET"],
		["http", "DELETE"],
		["response", null],
	] {
		asked := house.message(house.bob, {"kind": pair[0], "method": pair[1]})
		outbound.decision == token(ledger, "enterprise-ledger:protocol", 5) with input as asked
	}
}

# The tool is looked up only for a call, so it cannot widen the token of another message.
test_a_tool_beside_another_method_changes_nothing if {
	asked := house.with_part(house.request(house.bob, "tools/list"), "/mcp/tool", "transferFunds")
	outbound.decision == token(ledger, "enterprise-ledger:protocol", 5) with input as asked
}

test_a_tool_can_have_a_shorter_life if {
	outbound.decision.ttl_seconds == 2 with input as house.call(house.alice, "transferFunds", house.transfer)
		with data.permissions.backends["enterprise-ledger"].tools.transferFunds.ttl_seconds as 2
}

test_a_tool_that_is_not_in_the_table if {
	every tool in array.concat(house.odd, ["getEmployee", "protocol", "transferFunds ", "getBalance\u0000"]) {
		asked := house.with_part(house.call(house.alice, "getBalance", null), "/mcp/tool", tool)
		outbound.decision == no("tool_unknown") with input as asked
	}
}

test_a_backend_that_is_not_in_the_table if {
	every backend in array.concat(house.odd, ["payroll"]) {
		every asked in [house.call(house.alice, "getBalance", null), house.request(house.alice, "tools/list")] {
			outbound.decision == no("policy_denied") with input as house.with_part(asked, "/mcp/backend", backend)
		}
	}
}

test_no_method_no_token if {
	asked := house.without(house.request(house.alice, "tools/list"), "/mcp/method")
	outbound.decision == no("policy_denied") with input as asked
}

test_no_tool_no_token if {
	asked := house.without(house.call(house.alice, "getBalance", null), "/mcp/tool")
	outbound.decision == no("policy_denied") with input as asked
}

test_no_input_at_all if {
	outbound.decision == no("policy_denied")
	every document in house.odd {
		outbound.decision == no("policy_denied") with input as document
	}
}

test_another_version_of_the_document if {
	every version in array.concat(house.odd, [2, "1"]) {
		every asked in [house.call(house.alice, "getBalance", null), house.request(house.alice, "tools/list")] {
			outbound.decision == no("policy_denied") with input as house.with_part(asked, "/version", version)
		}
	}
}

test_without_a_table_there_is_no_token if {
	every table in house.odd {
		outbound.decision == no("policy_denied") with input as house.request(house.alice, "tools/list")
			with data.permissions as table
	}
}

test_a_backend_without_an_audience_gets_no_token if {
	every asked in [house.call(house.alice, "ping", null), house.request(house.alice, "tools/list")] {
		outbound.decision == no("policy_denied") with input as house.with_part(asked, "/mcp/backend", "half")
			with data.permissions.backends as {"half": {"delegation": {}, "tools": {"ping": {}}}}
	}
}
