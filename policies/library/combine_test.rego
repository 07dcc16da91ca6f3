package mcp.lib.combine_test

import data.mcp.lib.combine
import data.mcp.lib.support_test as support

ping := support.request(support.user, "ping")

yes := {"allow": true, "reason": "allowed"}

no(reason) := {"allow": false, "reason": reason}

role := {"rule": "rbac", "reason": "role_missing", "message": "No role."}

scope := {"rule": "scopes", "reason": "insufficient_scope", "required_scopes": ["b", "a"]}

limit := {"rule": "limit", "reason": "limit_exceeded", "message": "Too much."}

test_nothing_refused_is_a_yes if {
	combine.first([set()]) == yes with input as ping
	combine.first([set(), set(), set()]) == yes with input as ping
	combine.decide([set(), set()]) == yes with input as ping
}

test_the_first_set_that_refuses_decides if {
	combine.first([set(), {limit}, {role}]) == object.union(no("limit_exceeded"), {"message": "Too much."}) with input as ping
	combine.first([{role}, {limit}]).reason == "role_missing" with input as ping
}

test_in_one_set_the_reason_that_helps_most if {
	combine.decide([{limit}, {scope}, {role}]).reason == "role_missing" with input as ping
	combine.decide([{limit}, {scope}]) == object.union(no("insufficient_scope"), {"required_scopes": ["a", "b"]}) with input as ping
	every at, reason in combine.reasons {
		later := array.slice(combine.reasons, at, count(combine.reasons))
		every other in later {
			refusals := {{"rule": "x", "reason": other}, {"rule": "y", "reason": reason}}
			combine.decide([refusals]) == no(reason) with input as ping
		}
	}
}

test_all_that_is_wrong_for_one_reason_is_said_at_once if {
	combine.first([{limit, object.union(limit, {"rule": "other", "message": "And \"that\"."})}]) == {
		"allow": false,
		"reason": "limit_exceeded",
		"message": "And 'that'. Too much.",
	} with input as ping
	combine.first([{scope, object.union(scope, {"rule": "more", "required_scopes": ["c", "a"]})}]) == {
		"allow": false,
		"reason": "insufficient_scope",
		"required_scopes": ["a", "b", "c"],
	} with input as ping
}

test_a_long_message_is_cut if {
	long := object.union(limit, {"message": concat("", support.many)})
	count(combine.first([{long}]).message) == 500 with input as ping
}

test_a_rule_on_trial_is_noted_and_not_enforced if {
	noted := {"allow": true, "reason": "allowed", "log_only": [limit]}
	combine.first([{object.union(limit, {"log_only": true})}]) == noted with input as ping
	combine.first([{limit}]) == noted with input as ping with data.mcp.lib.log_only as ["limit"]
	combine.first([set(), {limit}]) == noted with input as ping with data.mcp.lib.log_only as {"other", "limit"}
}

test_a_note_says_rule_and_reason_and_message_alone if {
	sets := [{object.union(scope, {"log_only": true})}]
	combine.first(sets).log_only == [{"rule": "scopes", "reason": "insufficient_scope"}] with input as ping
}

test_a_trial_saves_nobody_from_another_rule if {
	decision := combine.first([{object.union(limit, {"log_only": true})}, {role}]) with input as ping
	decision == object.union(no("role_missing"), {"message": "No role."})
}

test_only_that_rule_is_on_trial if {
	every name in ["Limit", "limit ", "lim", "*", ""] {
		combine.first([{limit}]).allow == false with input as ping with data.mcp.lib.log_only as [name]
	}
	every setting in [null, false, true, 1, "limit", {}, {"a": "limit"}, {"limit": true}] {
		combine.first([{limit}]).allow == false with input as ping with data.mcp.lib.log_only as setting
	}
	every flag in ["true", 1, null, []] {
		combine.first([{object.union(limit, {"log_only": flag})}]).allow == false with input as ping
	}
}

test_at_most_sixteen_notes if {
	tried := {{"rule": name, "reason": "role_missing", "log_only": true} | some name in array.slice(support.many, 0, 40)}
	count(combine.first([tried]).log_only) == 16 with input as ping
}

test_what_is_no_refusal_refuses if {
	every one in array.concat(support.odd, [{"rule": "x"}, {"reason": "allowed"}, {"reason": "Role_missing"}, {"reason": ["role_missing"]}]) {
		combine.first([{one}]) == no("policy_denied") with input as ping
	}
	combine.first([{{"rule": "x", "reason": "role_missing", "message": 5}}]) == no("role_missing") with input as ping
}

test_what_is_no_list_of_sets_refuses if {
	every sets in array.concat(support.odd, [[role], [[role]], [[]], [{}], set(), {"a": set()}, {set()}]) {
		combine.first(sets) == no("policy_denied") with input as ping
		combine.decide(sets) == no("policy_denied") with input as ping
	}
}

test_another_version_of_the_input_refuses if {
	every version in array.concat(support.odd, [2, "1"]) {
		combine.first([set()]) == no("policy_denied") with input as support.with_part(ping, "/version", version)
	}
	combine.first([set()]) == no("policy_denied") with input as {}
}
