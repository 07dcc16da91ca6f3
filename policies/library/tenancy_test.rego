package mcp.lib.tenancy_test

import data.mcp.lib.support_test as support
import data.mcp.lib.tenancy

settings := {
	"claim": "tenant",
	"machines_above_tenants": true,
	"arguments": {"orders": {"tools": {"pay": [
		{"argument": "tenant"},
		{"argument": "account.id", "among": "accounts"},
		{"argument": "cost", "among": "costs", "optional": true},
	]}}},
}

tenants := {
	"acme": {"backends": ["orders"], "accounts": ["A-1", 7], "costs": ["C-1"]},
	"globex": {"backends": ["stock"], "accounts": ["G-1"]},
}

refused(asked) := refusals if {
	refusals := tenancy.refusals with input as asked with data.tenancy as settings with data.tenants as tenants
}

of(tenant) := support.with_part(support.user, "/claims/tenant", tenant)

mismatch := {{"rule": "tenancy", "reason": "tenant_mismatch"}}

about(reason, message) := {"rule": "tenancy.arguments", "reason": reason, "message": message}

good := {"tenant": "acme", "account": {"id": "A-1"}}

paying(more) := support.call(support.user, "pay", object.union(good, more))

test_a_tenant_uses_its_backends if {
	refused(support.call(of("acme"), "list", null)) == set()
	refused(support.call(of("globex"), "list", null)) == mismatch
	refused(support.request(of("globex"), "tools/list")) == mismatch
	stock := support.with_part(support.call(of("globex"), "list", null), "/mcp/backend", "stock")
	refused(stock) == set()
}

test_tenants_that_are_none if {
	every tenant in array.concat(support.odd, ["Acme", "acme ", "initech", ["acme"], {"acme": true}]) {
		refused(support.call(of(tenant), "list", null)) == mismatch
	}
	refused(support.without(support.call(support.user, "list", null), "/principal/claims/tenant")) == mismatch
	refused(support.without(support.call(support.user, "list", null), "/principal/claims")) == mismatch
	refused({}) == mismatch
}

test_the_handshake_needs_no_tenant if {
	refused(support.request(of("globex"), "initialize")) == set()
	refused(support.request(of(null), "server/discover")) == set()
}

test_what_an_argument_names_is_of_the_tenant if {
	refused(paying({})) == set()
	refused(paying({"account": {"id": 7}, "cost": "C-1"})) == set()
	refused(paying({"tenant": "globex"})) == {about("tenant_mismatch", "tenant is not of your tenant.")}
	every id in ["G-1", "a-1", "A-1 ", "", 1, ["A-1"], {"id": "A-1"}, true] {
		refused(paying({"account": {"id": id}})) == {about("tenant_mismatch", "account.id is not of your tenant.")}
	}
	refused(paying({"cost": "C-2"})) == {about("tenant_mismatch", "cost is not of your tenant.")}
}

test_what_is_missing_is_no_mismatch if {
	every arguments in array.concat(support.odd, [{"Tenant": "acme"}]) {
		refused(support.call(support.user, "pay", arguments)) == {
			about("argument_forbidden", "tenant must be given."),
			about("argument_forbidden", "account.id must be given."),
		}
	}
}

test_a_list_the_tenant_does_not_have if {
	globex := support.call(of("globex"), "pay", {"tenant": "globex", "account": {"id": "G-1"}, "cost": "C-1"})
	asked := support.with_part(globex, "/mcp/backend", "stock")
	moved := support.is(settings, {"arguments": {"stock": settings.arguments.orders}})
	tenancy.refusals == {about("tenant_mismatch", "cost is not of your tenant.")} with input as asked
		with data.tenancy as moved
		with data.tenants as tenants
}

test_a_machine_above_tenants if {
	refused(support.call(support.machine, "pay", {"tenant": "globex"})) == set()
	strict := support.is(settings, {"machines_above_tenants": false})
	tenancy.refusals == mismatch with input as support.call(support.machine, "list", null)
		with data.tenancy as strict
		with data.tenants as tenants
	bound := support.with_part(support.machine, "/claims/tenant", "globex")
	refused(support.call(bound, "list", null)) == mismatch
}

test_the_callers_own_table if {
	tenancy.table.accounts == ["G-1"] with input as support.request(of("globex"), "ping")
		with data.tenancy as settings
		with data.tenants as tenants
	not tenancy.table with input as support.request(of("initech"), "ping")
		with data.tenancy as settings
		with data.tenants as tenants
}

test_conditions_that_are_none if {
	every row in [null, false, true, 0, "x", {}, {"tenant": 1}] {
		broken := support.is(settings, {"arguments": {"orders": {"tools": {"pay": row}}}})
		refusals := tenancy.refusals with input as paying({}) with data.tenancy as broken with data.tenants as tenants
		{"rule": "tenancy.arguments", "reason": "policy_denied"} in refusals
	}
	every condition in support.odd {
		broken := support.is(settings, {"arguments": {"orders": {"tools": {"pay": [condition]}}}})
		refusals := tenancy.refusals with input as paying({}) with data.tenancy as broken with data.tenants as tenants
		count(refusals) == 1
	}
}

test_settings_that_cannot_be_read if {
	row := {"pay": [{"argument": "tenant"}]}
	arguments := [
		{"orders": {"tool": row}}, {"orders": {"tools": false}}, {"orders": {"tools": [row]}}, {"orders": false}, {"orders": []},
		{"orders": {"tools": {"*": false}}}, {"orders": {"tools": {}, "prompt": {}}}, false, null, [], "orders",
	]
	wrong := array.concat(
		[{"arguments": each} | some each in arguments],
		[{"argumnets": {}}, {"machines_above_tenant": false}],
	)
	every more in wrong {
		broken := support.is(object.remove(settings, ["arguments"]), more)
		refusals := tenancy.refusals with input as paying({"tenant": "globex"}) with data.tenancy as broken with data.tenants as tenants
		refusals == {{"rule": "tenancy.arguments", "reason": "policy_denied"}}
	}
}

test_a_misspelt_word_of_a_condition_is_stricter if {
	every more in [{"amnog": "accounts"}, {"among": false}, {"among": "acounts"}, {"among": false, "optional": true}] {
		row := [support.is({"argument": "account"}, more)]
		broken := support.is(settings, {"arguments": {"orders": {"tools": {"pay": row}}}})
		asked := support.call(support.user, "pay", {"account": "A-1"})
		refusals := tenancy.refusals with input as asked with data.tenancy as broken with data.tenants as tenants
		refusals == {about("tenant_mismatch", "account is not of your tenant.")}
	}
	every optional in [{"optional": "yes"}, {"optional": false}, {"optoinal": true}] {
		broken := support.is(settings, {"arguments": {"orders": {"tools": {"pay": [support.is({"argument": "x"}, optional)]}}}})
		refusals := tenancy.refusals with input as paying({}) with data.tenancy as broken with data.tenants as tenants
		refusals == {about("argument_forbidden", "x must be given.")}
	}
}

test_backends_of_a_tenant_are_a_list if {
	every backends in [false, "orders", {"a": "orders"}, {"orders": true}] {
		tenancy.refusals == mismatch with input as support.call(support.user, "list", null)
			with data.tenancy as settings
			with data.tenants as {"acme": {"backends": backends}}
	}
}

test_without_tables_nobody_belongs if {
	every odd in support.odd {
		mismatch & tenancy.refusals == mismatch with input as support.call(support.user, "list", null)
			with data.tenancy as odd
			with data.tenants as tenants
		mismatch & tenancy.refusals == mismatch with input as support.call(support.user, "list", null)
			with data.tenancy as settings
			with data.tenants as odd
		mismatch & tenancy.refusals == mismatch with input as support.call(support.user, "list", null)
			with data.tenancy as settings
			with data.tenants as {"acme": odd}
	}
}
