package mcp.lib.abac_test

import data.mcp.lib.abac
import data.mcp.lib.support_test as support

# What `pay` with these arguments is refused for, where these are its conditions.
refused(conditions, arguments) := refusals if {
	refusals := abac.refusals with input as support.call(support.user, "pay", arguments)
		with data.abac as {"orders": {"tools": {"pay": conditions}}}
		with data.rbac as {"claim": "roles", "roles": {"clerk": {}, "lead": {}}}
}

no(rule, reason, message) := {{"rule": rule, "reason": reason, "message": message, "log_only": false}}

unfit(message) := no("abac.x", "argument_forbidden", message)

over(message) := no("abac.x", "limit_exceeded", message)

fits(condition, value) if refused([support.is({"argument": "x"}, condition)], {"x": value}) == set()

misfits(condition, value, message) if {
	refused([support.is({"argument": "x"}, condition)], {"x": value}) == unfit(message)
}

test_no_condition_no_refusal if {
	abac.refusals == set() with input as support.call(support.user, "pay", {"x": 1})
	abac.refusals == set() with input as support.call(support.user, "list", null)
		with data.abac as {"orders": {"tools": {"pay": [{"argument": "x"}]}}}
	refused([], null) == set()
}

test_an_argument_must_be_given if {
	every arguments in [null, true, 5, "x", [], ["x"], {}, {"X": 1}, {"x": null}] {
		refused([{"argument": "x"}], arguments) == unfit("x must be given.")
		refused([{"argument": "x", "optional": true, "type": "string"}], arguments) == set()
		refused([{"argument": "x", "optional": true, "at_most": 5}], arguments) == set()
	}
	every value in [false, 0, "", [], {}] {
		fits({}, value)
	}
}

test_one_type if {
	samples := {"string": "a", "number": 1, "boolean": false, "array": [], "object": {}}
	every type, sample in samples {
		fits({"type": type}, sample)
		every other, value in samples {
			same_or_misfit(type, other, value)
		}
	}
}

same_or_misfit(same, same, _)

same_or_misfit(type, other, value) if {
	type != other
	misfits({"type": type}, value, concat("", ["x must be a ", type, "."]))
}

test_one_of if {
	condition := {"one_of": ["EUR", "USD", 5]}
	fits(condition, "EUR")
	fits(condition, 5)
	every value in array.concat(support.odd, ["eur", "EUR ", "5", ["EUR"], {"a": "EUR"}]) {
		null_or_misfit(condition, value, "x must be one of \"EUR\" \"USD\" 5.")
	}
}

null_or_misfit(_, null, _)

null_or_misfit(condition, value, message) if {
	value != null
	misfits(condition, value, message)
}

test_a_pattern_is_for_the_whole_value if {
	condition := {"matches": "[A-Z]{3}-[0-9]+|ANY"}
	fits(condition, "ACC-1")
	fits(condition, "ANY")
	every value in ["ACC-", "ACC-1 ", " ACC-1", "ACC-1\n", "xACC-1", "ANYTHING", "acc-1", "ACC-1\nACC-2", "", 1, ["ACC-1"], {"a": "ANY"}] {
		misfits(condition, value, "x must be like [A-Z]{3}-[0-9]+|ANY.")
	}
	misfits({"matches": "("}, "(", "x must be like (.")
}

test_a_length if {
	fits({"max_length": 3}, "äöü")
	fits({"max_length": 2}, [1, 2])
	every value in ["four", [1, 2, 3, 4], {"a": 1}, 1, true] {
		misfits({"max_length": 3}, value, "x must be no longer than 3.")
	}
}

test_bounds if {
	fits({"at_least": 1}, 1)
	fits({"above": 0}, 0.01)
	misfits({"at_least": 1}, 0.99, "x must be at least 1.")
	misfits({"above": 0}, 0, "x must be above 0.")
	every value in ["5", true, [5], {"a": 5}] {
		misfits({"at_least": 1}, value, "x must be at least 1.")
		misfits({"above": 0}, value, "x must be above 0.")
		misfits({"at_most": 9}, value, "x must be a number.")
		misfits({"at_most_by_role": {"clerk": 9}}, value, "x must be a number.")
	}
}

test_a_limit_is_said if {
	every value in [-5, 0, 99.99, 100] {
		fits({"at_most": 100}, value)
	}
	every value in [100.01, 101, 1e30] {
		refused([{"argument": "x", "at_most": 100}], {"x": value}) == over("x is at most 100.")
	}
}

test_the_highest_limit_of_the_roles if {
	by_role := {"clerk": 100, "lead": 1000}
	fits({"at_most_by_role": by_role}, 100)
	refused([{"argument": "x", "at_most_by_role": by_role}], {"x": 101}) == over("x is at most 100 for your role.")
	refused([{"argument": "x", "at_most_by_role": {"lead": 9}}], {"x": 1}) == over("x is not for your role.")
	lead := support.with_part(support.call(support.user, "pay", {"x": 1000}), "/principal/claims/roles", ["lead", "clerk"])
	abac.refusals == set() with input as lead
		with data.abac as {"orders": {"tools": {"pay": [{"argument": "x", "at_most_by_role": by_role}]}}}
		with data.rbac as {"claim": "roles", "roles": {"clerk": {}, "lead": {}}}
}

test_a_limit_that_is_no_number_is_none_at_all if {
	every limit in ["100", "a lot", true, [100], {}, {"lead": 5}] {
		refusals := refused([{"argument": "x", "at_most": limit}], {"x": 1})
		{one.reason | some one in refusals} == {"limit_exceeded"}
		by_role := refused([{"argument": "x", "at_most_by_role": {"clerk": limit}}], {"x": 1})
		{one.reason | some one in by_role} == {"limit_exceeded"}
	}
}

test_ones_own if {
	fits({"same_as_claim": "sub"}, "alice")
	every value in ["bob", "Alice", "alice ", "", 1, ["alice"], {"sub": "alice"}] {
		misfits({"same_as_claim": "sub"}, value, "x must be your own.")
	}
	misfits({"same_as_claim": "nothing"}, "alice", "x must be your own.")
	misfits({"same_as_claim": 5}, "alice", "x must be your own.")
}

test_a_member_of_an_object if {
	condition := {"argument": "payee.iban", "matches": "CH[0-9]+"}
	refused([condition], {"payee": {"iban": "CH1"}}) == set()
	every payee in [null, "CH1", ["CH1"], {"iban": "DE1"}, {"IBAN": "CH1"}] {
		refused([condition], {"payee": payee, "payee.iban": "CH1"}) == no(
			"abac.payee.iban", "argument_forbidden",
			"payee.iban must be like CH[0-9]+.",
		)
	}
}

test_all_conditions_count if {
	conditions := [{"argument": "x", "above": 0}, {"argument": "x", "at_most": 9, "rule": "small"}, {"argument": "y"}]
	refused(conditions, {"x": 5, "y": 1}) == set()
	{one.rule | some one in refused(conditions, {"x": 0})} == {"abac.x", "abac.y"}
	{one.rule | some one in refused(conditions, {"x": 10, "y": 1})} == {"small"}
}

test_a_condition_on_trial_says_so if {
	refused([{"argument": "x", "at_most": 9, "rule": "small", "log_only": true}], {"x": 10}) == {{
		"rule": "small",
		"reason": "limit_exceeded",
		"message": "x is at most 9.",
		"log_only": true,
	}}
}

test_a_name_that_logs_cannot_have_is_left_out if {
	every argument in ["Größe", "a b", "", "a\nb"] {
		{one.rule | some one in refused([{"argument": argument}], {})} == {"abac"}
	}
}

test_a_word_that_is_not_known_never_holds if {
	every word in ["at_mots", "", "max", "Type"] {
		{one.reason | some one in refused([{"argument": "x", word: 1}], {"x": 1})} == {"argument_forbidden"}
	}
}

test_conditions_that_are_none if {
	every odd in support.odd {
		count(refused([odd], {"x": 1})) == 1
	}
	every odd in [null, false, true, 0, "", "x", {}, {"x": {"at_most": 1}}] {
		"policy_denied" in {one.reason | some one in refused(odd, {"x": 1})}
	}
}

test_tables_that_cannot_be_read if {
	row := {"pay": [{"argument": "x", "at_most": 1}]}
	entries := [
		{"tool": row}, {"Tools": row}, {"tools": {}, "prompt": {}}, {"resources": {}}, {"tools": false}, {"tools": null},
		{"tools": "pay"}, {"tools": [row]}, {"tools": {}, "prompts": false}, {"tools": {"*": false}}, {"tools": {"*": "x"}},
		false, null, true, "x", [], 0,
	]
	refusal := {{"rule": "abac", "reason": "policy_denied"}}
	every table in array.concat([false, null, true, "x", [], 0], [{"orders": entry} | some entry in entries]) {
		abac.refusals == refusal with input as support.call(support.user, "pay", {"x": 1000000}) with data.abac as table
		abac.refusals == set() with input as support.request(support.user, "initialize") with data.abac as table
	}
	abac.refusals == set() with input as support.call(support.user, "pay", null) with data.abac as {"stock": {"tool": row}}
}

test_a_word_of_false_limits if {
	every word in ["type", "one_of", "matches", "max_length", "at_least", "above", "at_most", "at_most_by_role", "same_as_claim"] {
		every wanted in [false, null, true, {}] {
			count(refused([{"argument": "x", word: wanted}], {"x": 1000000})) == 1
		}
	}
	every word in ["optional", "optinal"] {
		count(refused([{"argument": "x", word: false}], {})) == 1
	}
	count(refused([{"argument": "x", "at_most": 1, "log_only": false, "rule": false}], {"x": 5})) == 1
}

test_conditions_for_every_other_tool_and_for_prompts if {
	table := {"orders": {
		"tools": {"*": [{"argument": "x"}], "list": []},
		"prompts": {"close": [{"argument": "month", "matches": "[0-9]{4}-[0-9]{2}"}]},
	}}
	abac.refusals == set() with input as support.call(support.user, "list", null) with data.abac as table
	abac.refusals == unfit("x must be given.") with input as support.call(support.user, "pay", null) with data.abac as table
	prompt := support.about(support.user, "prompts/get", "prompt", "close")
	count(abac.refusals) == 1 with input as prompt with data.abac as table
	with_month := support.with_part(prompt, "/mcp/arguments", {"month": "2026-11"})
	abac.refusals == set() with input as with_month with data.abac as table
}

test_large_arguments if {
	refused([{"argument": "x", "at_most": 5}], {"x": 5, "rest": support.many}) == set()
	refused([{"argument": "x", "max_length": 9}], {"x": support.many}) == unfit("x must be no longer than 9.")
}
