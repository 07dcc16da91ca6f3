# METADATA
# title: Roles say which tools
# description: |
#   A role may use what it lists and what the roles that it inherits list. Data: data.rbac. What no role lists is unknown.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.rbac: schema["rbac.v1"]
package mcp.lib.rbac

import data.mcp.lib.request

# METADATA
# description: What this module refuses.
refusals contains {"rule": "rbac", "reason": request.unknown} if {
	not permitted
	count(able) == 0
}

refusals contains {"rule": "rbac", "reason": "role_missing", "message": message} if {
	not permitted
	count(able) > 0
	message := concat("", ["This needs one of the roles: ", concat(", ", sort(able)), "."])
}

permitted if not request.kind

permitted if request.granted(data.rbac.everyone)

permitted if {
	some role in roles
	request.granted(data.rbac.roles[role].may)
}

# METADATA
# description: The caller's roles, with all they inherit. Empty where the claim is no list.
default roles := set()

roles := reached if {
	held := request.claim(data.rbac.claim)
	is_array(held)
	reached := graph.reachable(heirs, [role | some role in held; is_object(data.rbac.roles[role])])
	count([role | some role in reached; cyclic(role)]) == 0
}

heirs[role] := object.get(row, "inherits", []) if some role, row in data.rbac.roles

# A circle would make all of its roles the same: whoever reaches one has no role at all until it is mended.
cyclic(role) if role in graph.reachable(heirs, heirs[role])

able contains role if {
	some role, row in data.rbac.roles
	request.granted(row.may)
}

# METADATA
# description: What is wrong with the table itself. Assert in your tests that there is nothing.
mistakes contains concat(" ", [role, "inherits itself"]) if {
	some role in object.keys(data.rbac.roles)
	cyclic(role)
}

mistakes contains concat("", [role, " inherits ", heir, ", which is no role"]) if {
	some role, row in data.rbac.roles
	some heir in row.inherits
	not data.rbac.roles[heir]
}
