# Whether the table agrees with itself. Its shape is checked by ../schemas/permissions.v1.json.
package permissions_test

import rego.v1

backends := data.permissions.backends

rows contains [name, kind, row] if {
	some name, backend in backends
	some kind in ["tools", "prompts", "resources"]
	some row in object.keys(backend[kind])
}

none(offenders, complaint) if {
	print_all(offenders, complaint)
	count(offenders) == 0
}

# `opa test` shows what is printed when a test fails: whoever edits the table reads here which row to mend.
print_all(offenders, _) if count(offenders) == 0

print_all(offenders, complaint) if {
	count(offenders) > 0
	print(complaint, offenders)
}

test_a_row_asks_for_scopes_of_its_backend if {
	none(
		{[name, row, scope] |
			some [name, kind, row] in rows
			some scope in backends[name][kind][row].scopes
			not scope in backends[name].scopes
		},
		"not a scope of the backend:",
	)
}

test_some_client_can_obtain_every_scope if {
	obtainable := {scope | some client in data.permissions.clients; some scopes in client; some scope in scopes}
	none(
		{[name, scope] | some name, backend in backends; some scope in backend.scopes; not scope in obtainable},
		"no client can obtain:",
	)
}

test_a_client_is_granted_only_scopes_that_exist if {
	scopes := {scope | some backend in backends; some scope in backend.scopes}
	none(
		{[id, scope] |
			some id, client in data.permissions.clients
			some granted in client
			some scope in granted
			not scope in scopes
		},
		"no backend has the scope:",
	)
}

test_every_role_of_a_row_has_a_limit_for_its_amounts if {
	none(
		{[name, tool, argument, role] |
			some name, backend in backends
			some tool, row in backend.tools
			some argument, rule in row.arguments
			rule.is == "amount"
			some role in row.roles
			not rule.limits[role]
		},
		"no limit for the role:",
	)
}

test_a_limit_needs_roles_that_are_named if {
	none(
		{[name, tool] |
			some name, backend in backends
			some tool, row in backend.tools
			some rule in row.arguments
			rule.is == "amount"
			row.roles == "any"
		},
		"limits go by role, but the row is for any:",
	)
}

test_backends_do_not_share_an_audience if {
	none(
		{[one, other] |
			some one, a in backends
			some other, b in backends
			one < other
			a.delegation.audience == b.delegation.audience
		},
		"a token for one would open the other:",
	)
}

# `protocol` is the scope of every message that calls no tool; a tool of that name would be opened by all of them.
test_no_tool_is_called_protocol if {
	none({name | some name, backend in backends; backend.tools.protocol}, "the name of a tool is taken:")
}
