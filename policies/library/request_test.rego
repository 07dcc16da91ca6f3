package mcp.lib.request_test

import data.mcp.lib.request
import data.mcp.lib.support_test as support

test_the_handshake_is_two_requests if {
	every method in ["initialize", "server/discover"] {
		request.handshake with input as support.request(support.user, method)
		not request.handshake with input as support.message(support.user, {"method": method, "kind": "notification"})
	}
	every method in ["Initialize", "initialize ", "ping", "tools/list", null] {
		not request.handshake with input as support.request(support.user, method)
	}
	not request.handshake with input as {}
}

test_what_is_used_and_its_name if {
	[request.kind, request.name] == ["tools", "list"] with input as support.call(support.user, "list", null)
	prompt := support.about(support.user, "prompts/get", "prompt", "close")
	[request.kind, request.name] == ["prompts", "close"] with input as prompt
	every method in ["resources/read", "resources/subscribe", "resources/unsubscribe"] {
		every type in ["resource", "resource_template"] {
			asked := support.about(support.user, method, type, "orders://1")
			[request.kind, request.name] == ["resources", "orders://1"] with input as asked
		}
	}
	not request.kind with input as support.request(support.user, "tools/list")
}

test_a_second_target_or_another_type_has_no_name if {
	asked := support.about(support.user, "resources/read", "resource", "orders://1")
	one := asked.mcp.targets[0]
	every targets in array.concat(support.odd, [[one, one], [{"type": "prompt", "name": "x"}], [{"type": "resource"}]]) {
		not request.name with input as support.with_part(asked, "/mcp/targets", targets)
	}
	every name in [null, 1, ["orders://1"], {"a": 1}] {
		not request.name with input as support.with_part(asked, "/mcp/targets/0/name", name)
		not request.name with input as support.call(support.user, name, null)
	}
}

test_the_closest_row_speaks if {
	table := {"list": 1, "*": 2}
	request.row(table) == 1 with input as support.call(support.user, "list", null)
	request.row(table) == 2 with input as support.call(support.user, "List", null)
	request.row(table) == 2 with input as support.call(support.user, "*", null)
	not request.row({"list": 1}) with input as support.call(support.user, "other", null)
	not request.row(table) with input as support.call(support.user, null, null)
	not request.row(table) with input as support.request(support.user, "tools/list")
}

reading(uri) := support.about(support.user, "resources/read", "resource", uri)

test_a_collection_is_what_is_directly_below_it if {
	table := {"orders://open/": 1, "orders://open/7": 2}
	request.row(table) == 1 with input as reading("orders://open/1")
	request.row(table) == 2 with input as reading("orders://open/7")
	request.row(table) == 1 with input as reading("orders://open/")
	every tail in [".", "..", "1/2", "../x", "%2e%2e", "1?x", "1#x", "1\\x", "1 x", "Ä", "1\u0000", "1\n", "{id}"] {
		not request.row(table) with input as reading(concat("", ["orders://open/", tail]))
	}
	not request.row(table) with input as reading("orders://Open/1")
	not request.row(table) with input as support.call(support.user, "orders://open/1", null)
}

test_a_grant_lists_names_by_backend_and_kind if {
	grant := {"orders": {"tools": ["list"], "resources": ["orders://open/"], "prompts": []}}
	request.granted(grant) with input as support.call(support.user, "list", null)
	request.granted(grant) with input as reading("orders://open/1")
	request.granted({"orders": {"tools": ["*"]}}) with input as support.call(support.user, "any", null)
	every asked in [
		support.call(support.user, "LIST", null),
		support.call(support.user, "list ", null),
		support.call(support.user, null, null),
		support.about(support.user, "prompts/get", "prompt", "list"),
		support.with_part(support.call(support.user, "list", null), "/mcp/backend", "Orders"),
		support.request(support.user, "tools/list"),
		{},
	] {
		not request.granted(grant) with input as asked
	}
}

test_a_grant_is_a_list if {
	every names in [false, "list", {"a": "list"}, {"list": true}, [["list"]], [false]] {
		not request.granted({"orders": {"tools": names}}) with input as support.call(support.user, "list", null)
	}
	every grant in [false, {"orders": false}, {"orders": {"tool": ["list"]}}, {"order": {"tools": ["list"]}}] {
		not request.granted(grant) with input as support.call(support.user, "list", null)
	}
}

test_a_claim_by_its_path if {
	who := support.is(support.user, {"claims": {"a": {"b": [1]}, "x.y": 2, "n": null}})
	request.claim("a.b") == [1] with input as support.request(who, "ping")
	request.claim(["x.y"]) == 2 with input as support.request(who, "ping")
	every path in ["a.c", "a.b.c", "x.y", "n", "A.b", "", "."] {
		request.claim(path) == null with input as support.request(who, "ping")
	}
	every path in [null, 1, {"a": "b"}] {
		not request.claim(path) with input as support.request(who, "ping")
	}
	every claims in [null, "roles", 1] {
		asked := support.with_part(support.request(who, "ping"), "/principal/claims", claims)
		not request.claim("roles") with input as asked
	}
}

test_an_argument_by_its_path if {
	asked := support.call(support.user, "pay", {"amount": 5, "payee": {"iban": "X"}})
	request.argument("amount") == 5 with input as asked
	request.argument("payee.iban") == "X" with input as asked
	request.argument("payee.name") == null with input as asked
	request.argument(5) == null with input as asked
	every arguments in [null, true, 1, "amount", []] {
		request.argument("amount") == null with input as support.call(support.user, "pay", arguments)
	}
}

test_who_acts_for_itself if {
	request.alone with input as support.request(support.machine, "ping")
	not request.alone with input as support.request(support.user, "ping")
	not request.alone with input as {}
}

test_a_condition_is_named_even_if_it_is_none if {
	request.label({"argument": "amount"}) == "amount"
	request.label({}) == "An argument"
	request.label("amount") == "An argument"
}

test_what_must_be_there if {
	asked := support.call(support.user, "pay", {"amount": 5, "memo": null})
	not request.lacks({"argument": "amount"}) with input as asked
	not request.lacks({"argument": "other", "optional": true}) with input as asked
	request.lacks({"argument": "other"}) with input as asked
	request.lacks({"argument": "memo", "optional": "yes"}) with input as asked
}

test_the_words_of_a_refusal if {
	[request.unknown, request.forbidden] == ["tool_unknown", "tool_forbidden"] with input as support.call(support.user, "x", {})
	[request.unknown, request.forbidden] == ["policy_denied", "policy_denied"] with input as reading("x")
	not request.unknown with input as support.request(support.user, "ping")
}
