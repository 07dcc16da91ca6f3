package mcp.lib.protocol_test

import data.mcp.lib.protocol
import data.mcp.lib.support_test as support

no := {{"rule": "protocol", "reason": "method_forbidden"}}

test_every_method_in_its_own_kind_of_message if {
	every kind, methods in protocol.methods {
		every method in methods {
			asked := support.message(support.user, {"kind": kind, "method": method})
			protocol.refusals == set() with input as asked
			every other in ["request", "notification", "http", "response"] {
				other_kind(other, kind, asked)
			}
		}
	}
}

other_kind(same, same, _)

other_kind(other, kind, asked) if {
	other != kind
	protocol.refusals == no with input as support.with_part(asked, "/mcp/kind", other)
}

test_what_is_no_method if {
	every method in array.concat(support.odd, ["tasks/list", "Tools/call", "tools/call ", "roots/list", "POST"]) {
		protocol.refusals == no with input as support.request(support.user, method)
	}
	protocol.refusals == no with input as {}
	protocol.refusals == no with input as support.without(support.request(support.user, "ping"), "/mcp/kind")
}

test_what_is_not_wanted if {
	asked := support.request(support.user, "prompts/get")
	protocol.refusals == no with input as asked with data.protocol.refuse as ["prompts/get"]
	protocol.refusals == set() with input as asked with data.protocol.refuse as ["prompts/list"]
	protocol.refusals == set() with input as asked with data.protocol as {}
}

test_what_is_not_wanted_cannot_be_read if {
	every table in [
		false, null, true, [], "prompts/get", {"refuse": false}, {"refuse": null}, {"refuse": "prompts/get"},
		{"refuse": {"prompts/get": true}}, {"refuse": [["prompts/get"]]}, {"refused": ["prompts/get"]},
	] {
		protocol.refusals == no with input as support.request(support.user, "prompts/get") with data.protocol as table
		protocol.refusals == set() with input as support.request(support.user, "initialize") with data.protocol as table
	}
}
