package mcp.inbound_test

import data.mcp.house_test as house
import data.mcp.inbound
import rego.v1

yes := {"allow": true, "reason": "allowed"}

no(reason) := {"allow": false, "reason": reason}

step_up(scopes) := {"allow": false, "reason": "insufficient_scope", "required_scopes": scopes}

with_scopes(principal, scopes) := object.union(principal, {"scopes": scopes})

# Who may call which tool.

ledger_reads := {"listAccounts", "getAccount", "getBalance", "listTransactions"}

directory := {"listEmployees", "getEmployee", "searchEmployees", "getManager", "listDepartments", "getOrgChart"}

ask(principal, backend, tool) := house.with_part(house.call(principal, tool, {}), "/mcp/backend", backend)

test_every_member_reads_the_ledger if {
	every who in [house.alice, house.bob, house.carol, house.agent] {
		every tool in ledger_reads {
			inbound.decision == yes with input as ask(who, "enterprise-ledger", tool)
		}
	}
}

test_every_member_reads_the_directory if {
	every who in [house.alice, house.bob, house.carol, house.agent] {
		every tool in directory {
			inbound.decision == yes with input as ask(who, "employee-directory", tool)
		}
	}
}

test_one_scope_is_enough_to_read if {
	inbound.decision == yes with input as house.call(with_scopes(house.bob, ["ledger:read"]), "getBalance", null)
}

test_a_tool_of_the_other_backend_is_unknown if {
	inbound.decision == no("tool_unknown") with input as ask(house.alice, "employee-directory", "getBalance")
	inbound.decision == no("tool_unknown") with input as ask(house.alice, "enterprise-ledger", "getEmployee")
}

test_pii_is_for_analysts if {
	inbound.decision == yes with input as house.call(house.alice, "getCustomerPII", {"id": "C-1"})
	refused_for_role("getCustomerPII", house.bob, "analyst")
	refused_for_role("getCustomerPII", house.carol, "analyst")
	refused_for_role("getCustomerPII", house.agent, "analyst")
}

test_the_audit_trail_is_for_auditors if {
	inbound.decision == yes with input as house.call(house.carol, "getAuditTrail", null)
	refused_for_role("getAuditTrail", house.alice, "auditor")
	refused_for_role("getAuditTrail", house.bob, "auditor")
	refused_for_role("getAuditTrail", house.agent, "auditor")
}

test_invoices_are_for_analysts if {
	inbound.decision == yes with input as house.call(house.alice, "createInvoice", {"amount": 9})
	refused_for_role("createInvoice", house.bob, "analyst")
}

refused_for_role(tool, principal, role) if {
	decision := inbound.decision with input as house.call(principal, tool, house.transfer)
	decision == {
		"allow": false,
		"reason": "role_missing",
		"message": concat("", ["This needs one of the roles: ", role, "."]),
	}
}

test_one_of_several_roles_is_enough if {
	who := house.with_part(house.bob, "/claims/roles", ["employee", "auditor"])
	inbound.decision == yes with input as house.call(who, "getAuditTrail", null)
}

test_the_catalog_of_the_sidecar_decides_nothing if {
	asked := house.with_part(house.call(house.bob, "getBalance", null), "/tool/known", false)
	inbound.decision == yes with input as asked
}

# Scopes.

test_a_missing_scope_is_asked_for_with_all_the_tool_needs if {
	who := with_scopes(house.alice, ["ledger:read"])
	inbound.decision == step_up(["ledger:read", "pii:read"]) with input as house.call(who, "getCustomerPII", null)
	inbound.decision == step_up(["ledger:write"]) with input as house.call(who, "createInvoice", null)
}

test_a_scope_is_asked_for_before_the_arguments_are_looked_at if {
	who := with_scopes(house.alice, ["ledger:read"])
	inbound.decision == step_up(["ledger:write"]) with input as house.call(who, "transferFunds", null)
}

test_a_role_is_not_to_be_had_by_a_scope if {
	who := with_scopes(house.bob, ["ledger:read"])
	refused_for_role("getCustomerPII", who, "analyst")
}

test_a_scope_out_of_reach_is_not_asked_for if {
	machine_analyst := house.with_part(house.agent, "/claims/roles", ["analyst"])
	every tool in ["getCustomerPII", "createInvoice", "transferFunds"] {
		inbound.decision == no("tool_forbidden") with input as house.call(machine_analyst, tool, house.transfer)
	}
}

# A token that carries more than the table grants is a mistake somewhere else; it opens nothing here.
test_a_scope_out_of_reach_does_not_count_when_held if {
	generous := with_scopes(house.with_part(house.agent, "/claims/roles", ["analyst"]), house.everything)
	inbound.decision == no("tool_forbidden") with input as house.call(generous, "getCustomerPII", null)
	inbound.decision == no("tool_forbidden") with input as house.call(generous, "transferFunds", house.transfer)
}

test_a_machine_can_obtain_what_it_lacks if {
	bare := with_scopes(house.agent, [])
	inbound.decision == step_up(["ledger:read"]) with input as house.call(bare, "getBalance", null)
}

test_the_same_agent_acts_on_behalf_of_a_user if {
	who := object.union(house.alice, {"clientId": "bedrock-agentcore"})
	inbound.decision == yes with input as house.call(who, "getCustomerPII", null)
	inbound.decision == yes with input as house.call(who, "transferFunds", house.transfer)
}

test_scopes_are_compared_whole if {
	every scope in [
		"ledger",
		"ledger:",
		"ledger:read ",
		" ledger:read",
		"ledger:read\tledger:write",
		"LEDGER:READ",
		"ledger:reader",
		"ledger:read ledger:write",
	] {
		who := with_scopes(house.bob, [scope])
		inbound.decision == step_up(["ledger:read"]) with input as house.call(who, "getBalance", null)
	}
}

# Arguments.

test_alice_transfers_up_to_her_limit if {
	every amount in [0.01, 1, 999999.99, 1000000] {
		inbound.decision == yes with input as transfer_with("/amount", amount)
	}
}

test_over_the_limit_names_the_limit if {
	every amount in [1000000.01, 1000001, 1000000000000000000000000000000] {
		inbound.decision == {
			"allow": false,
			"reason": "limit_exceeded",
			"message": "Over the limit for your role: amount is at most 1000000.",
		} with input as transfer_with("/amount", amount)
	}
}

test_an_odd_amount if {
	every amount in array.concat(house.odd, [-0.01, "250", "1e3", [250], {"value": 250}]) {
		unfit("amount") with input as transfer_with("/amount", amount)
	}
}

test_an_odd_account if {
	every field in ["from", "to"] {
		every value in [null, true, 0, "", ["ACC-1"], {"id": "ACC-1"}] {
			unfit(field) with input as transfer_with(concat("", ["/", field]), value)
		}
	}
}

test_an_odd_currency if {
	every currency in array.concat(house.odd, ["eur", "EUR ", "JPY", ["EUR"]]) {
		unfit("currency") with input as transfer_with("/currency", currency)
	}
}

test_a_missing_argument if {
	every name in ["from", "to", "amount", "currency"] {
		unfit(name) with input as house.call(house.alice, "transferFunds", object.remove(house.transfer, [name]))
	}
}

test_arguments_of_another_shape if {
	every arguments in [null, true, 5, "transfer", [], [house.transfer], {}, {"AMOUNT": 5}] {
		unfit("amount, currency, from, to") with input as house.call(house.alice, "transferFunds", arguments)
	}
}

test_what_does_not_fit_is_said_before_the_limit if {
	arguments := object.union(house.transfer, {"amount": 9999999, "currency": "JPY"})
	unfit("currency") with input as house.call(house.alice, "transferFunds", arguments)
}

test_an_argument_that_is_not_in_the_table_is_left_to_the_backend if {
	inbound.decision == yes with input as transfer_with("/memo", ["anything"])
}

transfer_with(path, value) := house.call(house.alice, "transferFunds", house.with_part(house.transfer, path, value))

unfit(names) if {
	inbound.decision == {
		"allow": false,
		"reason": "argument_forbidden",
		"message": concat("", ["Missing or not acceptable: ", names, "."]),
	}
}

# The protocol around the tools.

member_methods := {
	"request": [
		"ping",
		"tools/list",
		"prompts/list",
		"resources/list",
		"resources/templates/list",
		"tasks/get",
		"tasks/result",
		"tasks/update",
		"tasks/cancel",
		"completion/complete",
		"logging/setLevel",
		"subscriptions/listen",
	],
	"notification": [
		"notifications/initialized",
		"notifications/cancelled",
		"notifications/progress",
		"notifications/roots/list_changed",
		"notifications/tasks/status",
	],
	"http": ["GET", "DELETE"],
	"response": [null],
}

test_one_scope_of_the_backend_makes_a_member if {
	some kind, methods in member_methods
	every method in methods {
		every scope in ["ledger:read", "ledger:write", "pii:read", "audit:read"] {
			asked := house.message(with_scopes(house.bob, [scope]), {"kind": kind, "method": method})
			inbound.decision == yes with input as asked
		}
	}
}

test_a_scope_of_another_backend_does_not if {
	every kind, methods in member_methods {
		every method in methods {
			asked := house.message(with_scopes(house.bob, ["directory:read"]), {"kind": kind, "method": method})
			inbound.decision == step_up(["ledger:read"]) with input as asked
		}
	}
}

test_a_member_without_a_way_in_is_refused_for_good if {
	clients := {"claude-code": {"user": ["pii:read"]}}
	who := with_scopes(house.bob, [])
	inbound.decision == no("method_forbidden") with input as house.request(who, "tools/list")
		with data.permissions.clients as clients
}

test_finding_out_needs_no_scope_and_no_tenant if {
	stranger := house.with_part(with_scopes(house.bob, []), "/claims", {})
	every method in ["initialize", "server/discover"] {
		every who in [stranger, with_scopes(house.agent, []), house.alice] {
			inbound.decision == yes with input as house.request(who, method)
		}
	}
}

test_a_method_that_is_not_in_the_table if {
	every method in ["tasks/list", "tools/call ", "Tools/call", "roots/list", ""] {
		inbound.decision == no("method_forbidden") with input as house.request(house.alice, method)
	}
}

test_a_method_counts_only_in_its_own_kind_of_message if {
	every pair in [
		["notification", "tools/call"],
		["notification", "initialize"],
		["notification", "ping"],
		["request", "notifications/initialized"],
		["request", "GET"],
		["request", null],
		["http", "POST"],
		["http", "tools/call"],
		["response", "tools/call"],
		["response", "response"],
		["batch", "tools/list"],
	] {
		asked := house.with_part(house.call(house.alice, "getBalance", null), "/mcp/kind", pair[0])
		inbound.decision == no("method_forbidden") with input as house.with_part(asked, "/mcp/method", pair[1])
	}
}

# Prompts and resources.

test_the_prompt_and_the_resource_of_the_house if {
	inbound.decision == yes with input as house.about(house.bob, "prompts/get", [prompt("monthly-close")])
	inbound.decision == no("policy_denied") with input as house.about(house.bob, "prompts/get", [prompt("other")])

	retention := resource("ledger://policies/retention")
	inbound.decision == yes with input as house.about(house.agent, "resources/read", [retention])
	inbound.decision == no("policy_denied") with input as house.about(house.bob, "resources/read", [resource("ledger://x")])
}

# The house has too few to show every rule.
shelves := {
	"tenant": "acme",
	"scopes": ["ledger:read", "audit:read"],
	"prompts": {"reconcile": {"scopes": ["ledger:read"], "roles": ["analyst"]}},
	"resources": {
		"ledger://chart": {"scopes": ["ledger:read"], "roles": "any"},
		"ledger://accounts/": {"scopes": ["ledger:read"], "roles": "any"},
		"ledger://audit/": {"scopes": ["ledger:read", "audit:read"], "roles": ["auditor"]},
	},
}

on_shelves(principal, method, targets) := decision if {
	decision := inbound.decision with input as house.about(principal, method, targets)
		with data.permissions.backends as {"enterprise-ledger": shelves}
}

test_prompts_by_the_table if {
	reconcile := [prompt("reconcile")]
	on_shelves(house.alice, "prompts/get", reconcile) == yes
	on_shelves(house.bob, "prompts/get", reconcile).reason == "role_missing"
	on_shelves(with_scopes(house.alice, ["audit:read"]), "prompts/get", reconcile) == step_up(["ledger:read"])
	on_shelves(house.alice, "prompts/get", [prompt("other")]) == no("policy_denied")
}

test_resources_by_the_table if {
	every method in ["resources/read", "resources/subscribe", "resources/unsubscribe"] {
		on_shelves(house.bob, method, [resource("ledger://chart")]) == yes
		on_shelves(house.bob, method, [resource("ledger://accounts/ACC-1")]) == yes
		on_shelves(house.carol, method, [resource("ledger://audit/2026_11")]) == yes
		on_shelves(house.bob, method, [resource("ledger://audit/2026_11")]).reason == "role_missing"
	}
}

test_a_resource_is_directly_below_and_plain if {
	every uri in [
		"ledger://accounts",
		"ledger://accounts/ACC-1/",
		"ledger://accounts/ACC-1/statements",
		"ledger://accounts/../audit/1",
		"ledger://accounts/..",
		"ledger://accounts/.",
		"ledger://accounts/%2e%2e%2faudit",
		"ledger://accounts/ACC-1?as=auditor",
		"ledger://accounts/ACC-1#x",
		"ledger://accounts/ACC-1\\audit",
		"ledger://accounts/ACC 1",
		"ledger://accounts/ÄCC",
		"ledger://accounts/ACC-1\u0000",
		"ledger://Accounts/ACC-1",
		"LEDGER://accounts/ACC-1",
		"ledger://chart/",
		"chart",
		"/",
		"",
	] {
		on_shelves(house.carol, "resources/read", [resource(uri)]) == no("policy_denied")
	}
}

# The row itself is public knowledge to a member: what is below it is what it guards.
test_the_bare_collection_is_its_own_row if {
	on_shelves(house.bob, "resources/read", [resource("ledger://accounts/")]) == yes
}

test_exactly_one_target_of_the_right_type if {
	chart := resource("ledger://chart")
	every targets in array.concat(house.odd, [
		[chart, chart],
		[chart, resource("ledger://audit/1")],
		[prompt("ledger://chart")],
		[{"type": "resource", "name": ["ledger://chart"]}],
		[{"type": "resource"}],
	]) {
		on_shelves(house.alice, "resources/read", targets) == no("policy_denied")
	}
}

prompt(name) := {"type": "prompt", "name": name}

resource(uri) := {"type": "resource", "name": uri}

# Clients and tenants.

test_a_client_that_is_not_in_the_table if {
	every id in array.concat(house.odd, ["claude-code ", "Claude-Code", "other"]) {
		every method in ["initialize", "server/discover", "tools/list"] {
			asked := house.request(object.union(house.alice, {"clientId": id}), method)
			inbound.decision == no("client_forbidden") with input as asked
		}
	}
}

# A public client has no credentials of its own, so a token in its own name is not genuine.
test_a_public_client_is_never_its_own_subject if {
	who := object.union(house.alice, {"subject": "claude-code"})
	inbound.decision == no("client_forbidden") with input as house.call(who, "getBalance", null)
}

test_a_subject_that_is_not_a_name if {
	every subject in [null, true, 0, "", ["alice"], {"sub": "alice"}] {
		who := object.union(house.alice, {"subject": subject})
		inbound.decision == no("client_forbidden") with input as house.call(who, "getBalance", null)
	}
}

test_the_tenant_of_a_user_is_the_tenant_of_the_backend if {
	every tenant in array.concat(house.odd, ["Acme", "globex", ["acme"]]) {
		who := house.with_part(house.alice, "/claims/tenant", tenant)
		inbound.decision == no("tenant_mismatch") with input as house.call(who, "getBalance", null)
		inbound.decision == no("tenant_mismatch") with input as house.request(who, "tools/list")
	}
	nobody := house.without(house.alice, "/claims/tenant")
	inbound.decision == no("tenant_mismatch") with input as house.call(nobody, "getBalance", null)
}

test_a_machine_has_no_tenant_or_the_right_one if {
	every tenant in [null, "acme"] {
		who := house.with_part(house.agent, "/claims/tenant", tenant)
		inbound.decision == yes with input as house.call(who, "getBalance", null)
	}
	every tenant in ["globex", "any", false, "", ["acme"], {}] {
		who := house.with_part(house.agent, "/claims/tenant", tenant)
		inbound.decision == no("tenant_mismatch") with input as house.call(who, "getBalance", null)
	}
}

test_a_backend_open_to_any_tenant if {
	who := house.without(house.bob, "/claims/tenant")
	inbound.decision == yes with input as house.call(who, "getBalance", null)
		with data.permissions.backends["enterprise-ledger"].tenant as "any"
}

test_a_backend_that_is_not_in_the_table if {
	every backend in array.concat(house.odd, ["Enterprise-Ledger", "payroll"]) {
		asked := house.with_part(house.call(house.alice, "getBalance", null), "/mcp/backend", backend)
		inbound.decision == no("policy_denied") with input as asked
	}
}

# Hostile and broken documents.

test_no_input_at_all if {
	inbound.decision == no("policy_denied")
	every document in house.odd {
		inbound.decision == no("policy_denied") with input as document
	}
}

test_another_version_of_the_document if {
	every version in array.concat(house.odd, [2, 1.5, "1"]) {
		asked := house.with_part(house.call(house.alice, "getBalance", null), "/version", version)
		inbound.decision == no("policy_denied") with input as asked
	}
}

# Nothing this policy reads may be absent or of another type without a refusal.
read_by_the_policy := [
	"/version",
	"/mcp",
	"/mcp/kind",
	"/mcp/method",
	"/mcp/tool",
	"/mcp/arguments",
	"/mcp/backend",
	"/principal",
	"/principal/subject",
	"/principal/clientId",
	"/principal/scopes",
	"/principal/claims",
	"/principal/claims/roles",
	"/principal/claims/tenant",
]

test_a_field_that_is_absent if {
	every path in read_by_the_policy {
		asked := house.without(house.call(house.alice, "transferFunds", house.transfer), path)
		inbound.decision.allow == false with input as asked
	}
}

test_a_field_of_another_type if {
	right := {["analyst"], "any"} # as roles, and as the name of a user
	every path in read_by_the_policy {
		every value in [value | some value in house.odd; not value in right] {
			asked := house.with_part(house.call(house.alice, "transferFunds", house.transfer), path, value)
			inbound.decision.allow == false with input as asked
		}
	}
}

test_scopes_in_an_object_are_not_held if {
	who := object.union(house.alice, {"scopes": {"a": "ledger:read"}})
	inbound.decision == step_up(["ledger:read"]) with input as house.call(who, "getBalance", null)
}

test_a_tool_by_any_other_type_is_unknown if {
	every tool in array.concat(house.odd, ["getbalance", "getBalance ", "getBalance\u0000", "__proto__", "constructor"]) {
		asked := house.with_part(house.call(house.alice, "getBalance", null), "/mcp/tool", tool)
		inbound.decision == no("tool_unknown") with input as asked
	}
}

test_a_huge_document if {
	many := [name | some i in numbers.range(1, 20000); name := sprintf("x%d", [i])]
	who := object.union(house.alice, {"scopes": many, "claims": {"roles": many, "tenant": "acme"}})
	refused_for_role("getCustomerPII", who, "analyst")
	arguments := object.union({name: many | some name in array.slice(many, 0, 50)}, house.transfer)
	inbound.decision == yes with input as house.call(house.alice, "transferFunds", arguments)
}

# A table with mistakes in it refuses.

test_a_broken_row_opens_nothing if {
	good := {"scopes": ["ledger:read"], "roles": "any"}
	rows := array.concat(house.odd, [
		{"scopes": ["ledger:read"]},
		{"roles": "any"},
		object.union(good, {"scopes": []}),
		object.union(good, {"scopes": "ledger:read"}),
		object.union(good, {"scopes": [null]}),
		object.union(good, {"roles": []}),
		object.union(good, {"roles": "analyst"}),
		object.union(good, {"arguments": null}),
		object.union(good, {"arguments": {"amount": {}}}),
		object.union(good, {"arguments": {"amount": {"is": "number"}}}),
		object.union(good, {"arguments": {"amount": {"is": "amount"}}}),
		object.union(good, {"arguments": {"amount": {"is": "amount", "limits": {"auditor": 5}}}}),
		object.union(good, {"arguments": {"currency": {"is": "choice"}}}),
	])
	every row in rows {
		inbound.decision.allow == false with input as house.call(house.alice, "broken", house.transfer)
			with data.permissions.backends["enterprise-ledger"].tools as {"broken": row}
	}
	inbound.decision == yes with input as house.call(house.alice, "sound", null)
		with data.permissions.backends["enterprise-ledger"].tools as {"sound": good}
}

# `with` merges objects into the house's own table, so these rows go by a name that is not in it.
moving(principal, amount, limits) := decision if {
	row := {
		"scopes": ["ledger:write"],
		"roles": ["analyst", "treasurer"],
		"arguments": {"amount": {"is": "amount", "limits": limits}},
	}
	decision := inbound.decision with input as house.call(principal, "moveFunds", {"amount": amount})
		with data.permissions.backends["enterprise-ledger"].tools as {"moveFunds": row}
}

test_a_role_without_a_limit_has_no_amount if {
	moving(house.alice, 1, {"treasurer": 5}) == no("policy_denied")
}

test_the_highest_limit_of_several_roles_counts if {
	limits := {"analyst": 100, "treasurer": 5000.5, "auditor": 90000}
	who := house.with_part(house.alice, "/claims/roles", ["analyst", "treasurer"])
	moving(who, 5000.5, limits) == yes
	moving(who, 6000, limits).message == "Over the limit for your role: amount is at most 5000.5."
	moving(house.alice, 5000.5, limits).message == "Over the limit for your role: amount is at most 100."
}

test_without_a_table_everything_is_refused if {
	every table in house.odd {
		inbound.decision == no("policy_denied") with input as house.call(house.alice, "getBalance", null)
			with data.permissions as table
	}
}

# The gateway itself, for its catalog.

gateway := object.union(house.agent, {
	"subject": "ai-identity-gateway",
	"clientId": "ai-identity-gateway",
	"scopes": ["catalog:read"],
	"claims": {"roles": ["agent"]},
})

test_the_gateway_lists if {
	every method in ["initialize", "server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
		every backend in ["enterprise-ledger", "employee-directory"] {
			message := house.with_part(house.request(gateway, method), "/mcp/backend", backend)
			inbound.decision == yes with input as message
		}
	}
}

test_the_gateway_opens_no_row if {
	greedy := with_scopes(gateway, array.concat(house.everything, ["catalog:read"]))
	every who in [gateway, greedy] {
		every tool in ledger_reads | {"transferFunds", "getCustomerPII"} {
			not inbound.decision.allow with input as house.call(who, tool, {})
		}
		every tool in directory {
			not inbound.decision.allow with input as ask(who, "employee-directory", tool)
		}
		prompt := house.about(who, "prompts/get", [{"type": "prompt", "name": "monthly-close"}])
		not inbound.decision.allow with input as prompt
		resource := house.about(who, "resources/read", [{"type": "resource", "name": "ledger://policies/retention"}])
		not inbound.decision.allow with input as resource
	}
}

test_only_the_gateway_can_hold_its_scope if {
	inbound.decision == step_up(["ledger:read"]) with input as house.request(with_scopes(house.alice, ["catalog:read"]), "tools/list")
}
