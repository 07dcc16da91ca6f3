package mcp.lib.rbac_test

import data.mcp.lib.rbac
import data.mcp.lib.support_test as support

table := {
	"claim": "roles",
	"everyone": {"orders": {"tools": ["hello"]}},
	"roles": {
		"clerk": {"may": {"orders": {"tools": ["list"], "prompts": ["close"], "resources": ["orders://open/"]}}},
		"lead": {"inherits": ["clerk"], "may": {"orders": {"tools": ["cancel"]}}},
		"boss": {"inherits": ["lead"]},
		"auditor": {"may": {"orders": {"tools": ["list", "trail"]}}},
		"robot": {"may": {"stock": {"tools": ["*"]}}},
	},
}

with_roles(roles) := support.with_part(support.user, "/claims/roles", roles)

asked(roles, tool) := refusals if {
	refusals := rbac.refusals with input as support.call(with_roles(roles), tool, null)
		with data.rbac as table
}

missing(names) := {{
	"rule": "rbac",
	"reason": "role_missing",
	"message": concat("", ["This needs one of the roles: ", names, "."]),
}}

unknown := {{"rule": "rbac", "reason": "tool_unknown"}}

test_a_role_may_what_it_lists if {
	asked(["clerk"], "list") == set()
	asked(["clerk"], "cancel") == missing("lead")
	asked(["auditor", "clerk"], "trail") == set()
}

test_a_role_may_what_it_inherits_and_no_more if {
	asked(["lead"], "list") == set()
	asked(["boss"], "list") == set()
	asked(["boss"], "cancel") == set()
	asked(["boss"], "trail") == missing("auditor")
}

test_several_roles_are_named_in_order if {
	asked([], "list") == missing("auditor, clerk")
}

test_what_is_for_everyone_needs_no_role if {
	every roles in array.concat(support.odd, [["nobody"]]) {
		asked(roles, "hello") == set()
	}
}

test_what_no_role_lists_is_unknown if {
	every tool in ["drop", "List", "list ", "*", "", "close"] {
		asked(["clerk", "boss"], tool) == unknown
	}
}

test_odd_roles_are_none if {
	every roles in array.concat(support.odd, ["clerk", "clerk lead", {"0": "clerk"}, ["Clerk"], ["clerk "], [["clerk"]], [null, 1]]) {
		is_clerk_or_refused(roles)
	}
}

is_clerk_or_refused(["clerk"])

is_clerk_or_refused(roles) if {
	roles != ["clerk"]
	asked(roles, "list") == missing("auditor, clerk")
}

test_no_claims_no_role if {
	every claims in [null, {}, [], "roles", {"Roles": ["clerk"]}] {
		who := support.with_part(support.user, "/claims", claims)
		refusals := rbac.refusals with input as support.call(who, "list", null) with data.rbac as table
		refusals == missing("auditor, clerk")
	}
}

test_prompts_and_resources if {
	clerk := with_roles(["clerk"])
	every one in [["prompts/get", "prompt", "close"], ["resources/read", "resource", "orders://open/1"]] {
		rbac.refusals == set() with input as support.about(clerk, one[0], one[1], one[2]) with data.rbac as table
		stranger := support.about(with_roles([]), one[0], one[1], one[2])
		rbac.refusals == missing("clerk") with input as stranger with data.rbac as table
		other := support.about(clerk, one[0], one[1], "other")
		rbac.refusals == {{"rule": "rbac", "reason": "policy_denied"}} with input as other with data.rbac as table
	}
}

test_several_targets_are_refused if {
	one := support.about(with_roles(["clerk"]), "resources/read", "resource", "orders://open/1")
	two := support.with_part(one, "/mcp/targets/-", one.mcp.targets[0])
	rbac.refusals == {{"rule": "rbac", "reason": "policy_denied"}} with input as two with data.rbac as table
}

test_another_backend_is_another_thing if {
	robot := support.call(with_roles(["robot"]), "count", null)
	rbac.refusals == set() with input as support.with_part(robot, "/mcp/backend", "stock") with data.rbac as table
	rbac.refusals == unknown with input as robot with data.rbac as table
}

test_what_uses_nothing_needs_no_role if {
	every method in ["initialize", "tools/list", "ping"] {
		rbac.refusals == set() with input as support.request(with_roles([]), method) with data.rbac as table
	}
}

test_the_claim_can_be_anywhere if {
	deep := support.with_part(support.user, "/claims", {"realm_access": {"roles": ["clerk"]}, "https://x.example/roles": ["lead"]})
	asked_of_deep := support.call(deep, "list", null)
	every path in ["realm_access.roles", ["realm_access", "roles"], ["https://x.example/roles"]] {
		rbac.refusals == set() with input as asked_of_deep with data.rbac as support.is(table, {"claim": path})
	}
	every path in ["roles", "realm_access", "https://x.example/roles", "", null, 5] {
		count(rbac.refusals) == 1 with input as asked_of_deep with data.rbac as support.is(table, {"claim": path})
	}
}

test_a_circle_gives_nobody_anything if {
	circle := support.with_part(table, "/roles/clerk/inherits", ["boss"])
	every role in ["clerk", "lead", "boss"] {
		asked_of := support.call(with_roles([role]), "list", null)
		count(rbac.refusals) == 1 with input as asked_of with data.rbac as circle
	}
	outside := support.call(with_roles(["auditor"]), "list", null)
	rbac.refusals == set() with input as outside with data.rbac as circle
	rbac.mistakes == {"clerk inherits itself", "lead inherits itself", "boss inherits itself"} with data.rbac as circle
}

test_mistakes_of_the_table if {
	rbac.mistakes == set() with data.rbac as table
	odd := support.with_part(table, "/roles/lead/inherits", ["clerc"])
	rbac.mistakes == {"lead inherits clerc, which is no role"} with data.rbac as odd
}

test_without_a_table_nothing_is_known if {
	every odd in support.odd {
		rbac.refusals == unknown with input as support.call(support.user, "list", null) with data.rbac as odd
	}
	rbac.refusals == unknown with input as support.call(support.user, "list", null)
}

test_thousands_of_roles if {
	asked(array.concat(support.many, ["clerk"]), "list") == set()
	asked(support.many, "list") == missing("auditor, clerk")
}
