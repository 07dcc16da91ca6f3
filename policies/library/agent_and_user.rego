# METADATA
# title: The agent may do no more than it was given
# description: |
#   Whoever acts, the client and everyone in the token's chain of actors, needs a grant of its own; what the user may is for
#   the other modules to say, and both must agree. A client that acts for itself has what it was given `as_itself`.
#   Data: data.agent_and_user.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.agent_and_user: schema["agent-and-user.v1"]
package mcp.lib.agent_and_user

import data.mcp.lib.request

agents := data.agent_and_user.agents

# METADATA
# description: What this module refuses.
refusals contains {"rule": "agent_and_user", "reason": "client_forbidden"} if not admitted

refusals contains {"rule": "agent_and_user", "reason": request.forbidden} if {
	admitted
	not within_grants
}

admitted if {
	is_string(input.principal.subject)
	input.principal.subject != ""
	count(grants) == count(acting) + 1 # nobody without any
	reachable
}

default way := "for_users"

way := "as_itself" if request.alone

# Those a user's client acts through. The last to act comes first; with `only_current_actor` the earlier ones do not count.
default acting := null

acting := input.principal.actor if {
	is_array(input.principal.actor)
	not data.agent_and_user.only_current_actor == true
} else := array.slice(input.principal.actor, 0, 1) if {
	is_array(input.principal.actor)
}

grants := array.concat(
	[agents[input.principal.clientId][way]],
	[grant | some actor in acting; grant := agents[actor.sub].for_users],
)

reachable if request.handshake

reachable if {
	every grant in grants {
		grant[input.mcp.backend]
	}
}

within_grants if not request.kind

within_grants if {
	every grant in grants {
		request.granted(grant)
	}
}
