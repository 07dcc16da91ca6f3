# METADATA
# title: Hours and networks
# description: |
#   What a window speaks of is refused outside of its hours, or from outside of its networks. Data: data.windows, a list.
#   The time is the sidecar's, the address is the one that Envoy tells.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.windows: schema["windows.v1"]
package mcp.lib.windows

import data.mcp.lib.request

# METADATA
# description: What this module refuses. Where one window cannot be read, that is everything.
refusals contains {"rule": "windows", "reason": "policy_denied"} if {
	not request.handshake
	some table in [found | found := data.windows]
	not readable(table)
}

refusals contains refusal(window, opening(window)) if {
	some window in closed_if("hours")
	not in_hours(window)
}

refusals contains refusal(window, "Not from this network.") if {
	some window in closed_if("networks")
	not in_networks(window)
}

readable(table) if {
	is_array(table)
	every window in table {
		request.only(window, ["rule", "log_only", "backends", "tools", "clients", "hours", "networks"])
		every member in ["backends", "tools", "clients", "networks"] {
			request.names(object.get(window, member, []))
		}
	}
}

closed_if(member) := [window |
	not request.handshake
	some window in data.windows
	member in object.keys(window)
	concerned(window)
]

concerned(window) if {
	among(window, "backends", input.mcp.backend)
	among(window, "clients", input.principal.clientId)
	among(window, "tools", object.get(input.mcp, "tool", null))
}

among(window, member, _) if not window[member]

among(window, member, value) if value in window[member]

default opening(_) := "Not at this time."

opening(window) := concat(" ", ["Only between", window.hours.from, "and", window.hours.to, concat("", [zone(window), "."])])

refusal(window, message) := {
	"rule": object.get(window, "rule", "windows"),
	"reason": reason,
	"message": message,
	"log_only": object.get(window, "log_only", false),
}

default reason := "policy_denied"

reason := request.forbidden

zone(window) := object.get(window.hours, "zone", "UTC")

in_hours(window) if {
	request.only(window.hours, ["from", "to", "days", "zone"])
	instant := [time.parse_rfc3339_ns(input.request.time), zone(window)]
	time.weekday(instant) in object.get(window.hours, "days", week)
	[hour, minute, _] := time.clock(instant)
	within((hour * 60) + minute, minutes(window.hours.from), minutes(window.hours.to))
}

week := ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

minutes(clock) := (to_number(hour) * 60) + to_number(minute) if [hour, minute] := split(clock, ":")

within(now, from, to) if {
	from <= now
	now < to
}

# Over midnight.
within(now, from, to) if {
	from > to
	now >= from
}

within(now, from, to) if {
	from > to
	now < to
}

in_networks(window) if {
	some network in window.networks
	net.cidr_contains(network, input.request.sourceIp)
}
