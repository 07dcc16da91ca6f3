package mcp.lib.agent_and_user_test

import data.mcp.lib.agent_and_user
import data.mcp.lib.support_test as support

table := {"agents": {
	"desk": {"for_users": {"orders": {"tools": ["list", "pay"], "prompts": ["close"]}}},
	"gateway": {"for_users": {"orders": {"tools": ["*"]}}, "as_itself": {"orders": {}}},
	"planner": {"for_users": {"orders": {"tools": ["list"]}}},
	"robot": {"as_itself": {"orders": {"tools": ["list"]}}},
}}

refused(asked) := refusals if {
	refusals := agent_and_user.refusals with input as asked with data.agent_and_user as table
}

with_actors(actors) := support.is(support.user, {"actor": [{"sub": name} | some name in actors]})

stranger := {{"rule": "agent_and_user", "reason": "client_forbidden"}}

forbidden := {{"rule": "agent_and_user", "reason": "tool_forbidden"}}

test_a_client_may_what_it_was_given if {
	refused(support.call(support.user, "pay", null)) == set()
	refused(support.call(support.user, "drop", null)) == forbidden
	refused(support.about(support.user, "prompts/get", "prompt", "close")) == set()
	refused(support.about(support.user, "prompts/get", "prompt", "x")) == {{"rule": "agent_and_user", "reason": "policy_denied"}}
}

test_everyone_in_the_chain_must_have_been_given_it if {
	refused(support.call(with_actors(["gateway", "planner"]), "list", null)) == set()
	refused(support.call(with_actors(["gateway", "planner"]), "pay", null)) == forbidden
	refused(support.call(with_actors(["gateway"]), "pay", null)) == set()
	refused(support.call(with_actors(["gateway"]), "drop", null)) == forbidden
}

test_a_stranger_in_the_chain_is_refused_at_once if {
	every method in ["initialize", "tools/list", "tools/call"] {
		refused(support.request(with_actors(["gateway", "other"]), method)) == stranger
		refused(support.request(with_actors(["robot"]), method)) == stranger
	}
}

test_those_who_acted_before_can_be_left_out if {
	only_current := support.is(table, {"only_current_actor": true})
	asked := support.call(with_actors(["gateway", "planner", "other"]), "pay", null)
	agent_and_user.refusals == set() with input as asked with data.agent_and_user as only_current
	current := support.call(with_actors(["planner", "gateway"]), "pay", null)
	agent_and_user.refusals == forbidden with input as current with data.agent_and_user as only_current
}

test_a_machine_acting_for_itself if {
	refused(support.call(support.machine, "list", null)) == set()
	refused(support.call(support.machine, "pay", null)) == forbidden
	refused(support.request(support.machine, "tools/list")) == set()
}

test_the_way_it_came_counts if {
	for_a_user := support.is(support.user, {"clientId": "robot"})
	refused(support.call(for_a_user, "list", null)) == stranger
	itself := support.is(support.user, {"subject": "desk"})
	refused(support.call(itself, "list", null)) == stranger
}

test_given_nothing_it_may_connect_and_list if {
	gateway := support.is(support.machine, {"subject": "gateway", "clientId": "gateway"})
	every method in ["initialize", "tools/list", "subscriptions/listen"] {
		refused(support.request(gateway, method)) == set()
	}
	refused(support.call(gateway, "list", null)) == forbidden
}

test_a_backend_it_was_not_given if {
	asked := support.with_part(support.request(support.user, "tools/list"), "/mcp/backend", "stock")
	refused(asked) == stranger
	handshake := support.with_part(support.request(support.user, "initialize"), "/mcp/backend", "stock")
	refused(handshake) == set()
}

test_clients_that_are_none if {
	every id in array.concat(support.odd, ["Desk", "desk ", "other"]) {
		every method in ["initialize", "tools/call"] {
			refused(support.request(support.is(support.user, {"clientId": id}), method)) == stranger
		}
	}
}

test_subjects_that_are_none if {
	every subject in [null, true, 0, "", ["alice"], {"sub": "alice"}] {
		refused(support.call(support.is(support.user, {"subject": subject}), "list", null)) == stranger
	}
}

test_chains_that_are_none if {
	every actor in [null, true, 0, "gateway", {}, {"sub": "gateway"}, [null], ["gateway"], [[]], [{}], [{"sub": null}], [{"sub": ["gateway"]}]] {
		asked := support.with_part(support.call(support.user, "list", null), "/principal/actor", actor)
		refused(asked) == stranger
		only_current := support.is(table, {"only_current_actor": true})
		agent_and_user.refusals == stranger with input as asked with data.agent_and_user as only_current
	}
	refused(support.without(support.call(support.user, "list", null), "/principal/actor")) == stranger
	refused({}) == stranger
}

test_without_a_table_nobody_is_known if {
	every odd in support.odd {
		agent_and_user.refusals == stranger with input as support.call(support.user, "list", null) with data.agent_and_user as odd
		agent_and_user.refusals == stranger with input as support.call(support.user, "list", null)
			with data.agent_and_user as {"agents": odd}
		count(agent_and_user.refusals) == 1 with input as support.call(support.user, "list", null)
			with data.agent_and_user as {"agents": {"desk": odd}}
	}
}

test_a_long_chain if {
	long := support.call(with_actors([name | some at in numbers.range(1, 100); name := ["gateway", "planner"][at % 2]]), "list", null)
	refused(long) == set()
}
