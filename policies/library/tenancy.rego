# METADATA
# title: Tenants apart
# description: |
#   A caller is of the tenant that its token says, may use that tenant's backends, and may name only what that tenant has.
#   Data: data.tenancy, how it is told; data.tenants, one table for each tenant, to which you may add what your own rules
#   need: `tenancy.table` is the caller's.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.tenancy: schema["tenancy.v1"]
#   - data.tenants: schema["tenants.v1"]
package mcp.lib.tenancy

import data.mcp.lib.request

# METADATA
# description: The caller's tenant, where there is such a one.
tenant := claimed if {
	claimed := request.claim(data.tenancy.claim)
	data.tenants[claimed]
}

# METADATA
# description: The caller's tenant's own data.
table := data.tenants[tenant]

conditions := request.row(data.tenancy.arguments[input.mcp.backend][request.kind])

# METADATA
# description: What this module refuses.
refusals contains {"rule": "tenancy", "reason": "tenant_mismatch"} if {
	not request.handshake
	not belongs
}

refusals contains {"rule": "tenancy.arguments", "reason": "policy_denied"} if {
	request.kind
	is_object(data.tenancy) # else nobody belongs
	not readable
}

readable if {
	request.only(data.tenancy, ["claim", "machines_above_tenants", "arguments"])
	request.readable(object.get(data.tenancy, "arguments", {}), ["tools", "prompts"])
}

# Not tenant_mismatch: in lists there are no arguments yet, and this is not to hide the tool.
refusals contains {"rule": "tenancy.arguments", "reason": "argument_forbidden", "message": message} if {
	not above_tenants
	some condition in conditions
	request.lacks(condition)
	message := concat(" ", [request.label(condition), "must be given."])
}

refusals contains {"rule": "tenancy.arguments", "reason": "tenant_mismatch", "message": message} if {
	not above_tenants
	some condition in conditions
	not request.lacks(condition)
	not own(condition)
	message := concat(" ", [request.label(condition), "is not of your tenant."])
}

belongs if {
	is_array(table.backends)
	input.mcp.backend in table.backends
}

belongs if above_tenants

# A machine without a tenant, where the table lets it be of none.
above_tenants if {
	data.tenancy.machines_above_tenants == true
	request.alone
	request.claim(data.tenancy.claim) == null
}

own(condition) if request.argument(condition.argument) == null

own(condition) if {
	not condition.among
	request.argument(condition.argument) == tenant
}

own(condition) if {
	is_array(table[condition.among])
	request.argument(condition.argument) in table[condition.among]
}
