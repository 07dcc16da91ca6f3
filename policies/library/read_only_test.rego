package mcp.lib.read_only_test

import data.mcp.lib.read_only
import data.mcp.lib.support_test as support

annotated(annotations) := support.with_part(support.call(support.user, "list", null), "/tool/annotations", annotations)

refused := {{"rule": "read_only", "reason": "read_only"}}

switches := [
	{"everywhere": true},
	{"backends": ["stock", "orders"]},
	{"clients": ["desk"]},
	{"everywhere": false, "backends": ["orders"]},
	{"everywhere": "yes"},
	{"everywhere": null},
	{"everywhere": false, "backends": "orders"},
	{"everywhere": false, "clients": "desk"},
	{"clients": false},
	{"clients": null},
	{"backends": false},
	{"backends": {"orders": true}},
	{"backends": [["orders"]]},
	{"backend": ["orders"]},
	{"everywere": true},
	false,
	null,
	true,
	[],
	"orders",
]

test_what_is_annotated_passes if {
	every switch in switches {
		read_only.refusals == set() with input as annotated({"readOnlyHint": true}) with data.read_only as switch
	}
}

test_what_is_not_annotated_writes if {
	every switch in switches {
		every hint in array.concat(support.odd, ["true", 1, [true]]) {
			true_or_refused(hint, switch)
		}
		every annotations in [{}, {"ReadOnlyHint": true}, {"readonlyHint": true}, {"destructiveHint": false}, null, true, []] {
			read_only.refusals == refused with input as annotated(annotations) with data.read_only as switch
		}
		bare := support.without(annotated({}), "/tool")
		read_only.refusals == refused with input as bare with data.read_only as switch
	}
}

true_or_refused(true, _)

true_or_refused(hint, switch) if {
	hint != true
	read_only.refusals == refused with input as annotated({"readOnlyHint": hint}) with data.read_only as switch
}

test_the_switch_is_for_that_backend_and_that_client if {
	every switch in [{}, {"everywhere": false}, {"backends": []}, {"backends": ["Orders"]}, {"clients": ["robot"]}] {
		read_only.refusals == set() with input as annotated({}) with data.read_only as switch
	}
	read_only.refusals == set() with input as annotated({})
}

test_an_agent_that_only_reads_does_so_for_everybody if {
	chain := support.with_part(annotated({}), "/principal/actor", [{"sub": "gateway"}, {"sub": "robot"}])
	read_only.refusals == refused with input as chain with data.read_only as {"clients": ["robot"]}
}

test_only_tools_write if {
	every method in ["prompts/get", "resources/read", "tools/list", "initialize"] {
		asked := support.request(support.user, method)
		read_only.refusals == set() with input as asked with data.read_only as {"everywhere": true}
	}
}
