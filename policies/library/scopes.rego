# METADATA
# title: Scopes for each tool
# description: |
#   All scopes of a row are needed; the refusal names all of them, so that the client asks once. Scopes are compared whole:
#   `ledger` is no part of `ledger:read`. For messages that use nothing, one of the backend's `member` scopes is enough.
#   Data: data.scopes.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.scopes: schema["scopes.v1"]
package mcp.lib.scopes

import data.mcp.lib.request

table := data.scopes[input.mcp.backend]

needed := request.row(table[request.kind])

# METADATA
# description: What this module refuses.
refusals contains {"rule": "scopes", "reason": "policy_denied"} if not table.member[0]

refusals contains {"rule": "scopes", "reason": request.unknown} if {
	table.member[0]
	not needed[0] # a row that asks for nothing is a mistake
}

refusals contains {"rule": "scopes", "reason": "insufficient_scope", "required_scopes": needed} if {
	needed[0]
	some scope in needed
	not held(scope)
}

refusals contains {"rule": "scopes", "reason": "insufficient_scope", "required_scopes": [table.member[0]]} if {
	not request.kind
	not request.handshake
	not member
}

member if {
	some scope in table.member
	held(scope)
}

# `in` alone would also search the values of an object.
held(scope) if {
	is_array(input.principal.scopes)
	scope in input.principal.scopes
}
