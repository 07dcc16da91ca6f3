package mcp.lib.windows_test

import data.mcp.lib.support_test as support
import data.mcp.lib.windows

at(time) := support.with_part(support.call(support.user, "pay", null), "/request/time", time)

refused(asked, table) := {one.message | some one in refusals} if {
	refusals := windows.refusals with input as asked with data.windows as table
}

office := {"hours": {"from": "08:00", "to": "17:30", "days": ["Monday", "Friday"], "zone": "Europe/Zurich"}}

closed := {"Only between 08:00 and 17:30 Europe/Zurich."}

test_hours_in_their_own_zone if {
	every time in ["2026-11-20T07:00:00Z", "2026-11-20T16:29:59.999Z", "2026-11-20T03:00:00-05:00", "2026-07-20T06:00:00Z"] {
		refused(at(time), [office]) == set()
	}
	every time in [
		"2026-11-20T06:59:59Z", "2026-11-20T16:30:00Z", "2026-11-21T12:00:00Z", "2026-07-20T05:59:59Z",
		"2026-07-20T15:30:00Z",
	] {
		refused(at(time), [office]) == closed
	}
}

test_utc_and_every_day_where_nothing_is_said if {
	table := [{"hours": {"from": "12:00", "to": "13:00"}}]
	refused(at("2026-11-21T12:59:00Z"), table) == set()
	refused(at("2026-11-21T13:00:00Z"), table) == {"Only between 12:00 and 13:00 UTC."}
}

test_hours_over_midnight if {
	table := [{"hours": {"from": "22:00", "to": "06:00"}}]
	every time in ["22:00", "23:59", "00:00", "05:59"] {
		refused(at(concat("", ["2026-11-20T", time, ":00Z"])), table) == set()
	}
	every time in ["06:00", "12:00", "21:59"] {
		count(refused(at(concat("", ["2026-11-20T", time, ":00Z"])), table)) == 1
	}
}

test_times_that_are_none if {
	every time in array.concat(support.odd, ["now", "2026-11-20", "2026-13-20T12:00:00Z"]) {
		refused(at(time), [office]) == closed
	}
}

test_hours_that_are_none if {
	every hours in [false, null, true, 1, "08:00", [8], {}, {"from": "08:00"}, {"from": "x", "to": "y"}, {"from": "00:00", "to": "24:00", "zone": "Nowhere"}] {
		count(refused(at("2026-11-20T12:00:00Z"), [{"hours": hours}])) == 1
	}
	every more in [{"dyas": ["Monday"]}, {"zoen": "Europe/Zurich"}, {"days": false}, {"days": "Friday"}, {"zone": false}] {
		hours := object.union({"from": "00:00", "to": "24:00"}, more)
		count(refused(at("2026-11-20T12:00:00Z"), [{"hours": hours}])) == 1
	}
}

from(address) := support.with_part(support.call(support.user, "pay", null), "/request/sourceIp", address)

test_networks if {
	table := [{"networks": ["192.0.2.0/24", "2001:db8::/32"]}]
	every address in ["192.0.2.0", "192.0.2.255", "2001:db8::1"] {
		refused(from(address), table) == set()
	}
	every address in array.concat(support.odd, ["192.0.3.0", "2001:db9::1", "192.0.2.7:443", "localhost", "192.0.2"]) {
		refused(from(address), table) == {"Not from this network."}
	}
	every network in support.odd {
		refused(from("192.0.2.7"), [{"networks": [network]}]) == {"Not from this network."}
	}
}

test_a_window_speaks_of_what_it_names if {
	never := {"networks": ["10.0.0.0/8"]}
	asked := support.call(support.user, "pay", null)
	every more in [{}, {"backends": ["orders"]}, {"tools": ["pay"]}, {"clients": ["desk"]}, {"tools": ["pay"], "clients": ["desk"]}] {
		count(refused(asked, [object.union(never, more)])) == 1
	}
	every more in [{"backends": ["stock"]}, {"tools": ["list"]}, {"clients": ["robot"]}, {"tools": ["pay"], "clients": ["robot"]}] {
		refused(asked, [object.union(never, more)]) == set()
	}
	refused(support.request(support.user, "tools/list"), [object.union(never, {"tools": ["pay"]})]) == set()
}

test_the_refusal_in_full if {
	table := [{"networks": ["10.0.0.0/8"]}, {"rule": "inside", "networks": ["10.0.0.0/8"], "log_only": true}]
	refusal := {"rule": "windows", "reason": "tool_forbidden", "message": "Not from this network.", "log_only": false}
	tried := object.union(refusal, {"rule": "inside", "log_only": true})
	windows.refusals == {refusal, tried} with input as support.call(support.user, "pay", null) with data.windows as table
	windows.refusals == {object.union(refusal, {"reason": "policy_denied"}), object.union(tried, {"reason": "policy_denied"})} with input as support.request(support.user, "ping")
		with data.windows as table
}

test_the_handshake_is_always_open if {
	every method in ["initialize", "server/discover"] {
		refused(support.request(support.user, method), [{"networks": ["10.0.0.0/8"]}]) == set()
	}
}

test_windows_that_cannot_be_read_close_all if {
	inside := ["192.0.2.0/24"]
	windows_of_one := [
		{"netwroks": inside}, {"hour": {}}, {"backends": "stock", "networks": inside}, {"backends": false, "networks": inside},
		{"tools": "pay", "networks": inside}, {"clients": {"desk": true}, "networks": inside}, {"clients": null},
		{"networks": "192.0.2.0/24", "tools": ["list"]}, {"networks": false, "tools": ["list"]}, {"backend": ["stock"], "networks": inside},
		false, null, "x", [],
	]
	refusal := {{"rule": "windows", "reason": "policy_denied"}}
	every table in array.concat([false, null, true, "x", {}, {"a": {"networks": inside}}], [[window] | some window in windows_of_one]) {
		windows.refusals == refusal with input as support.call(support.user, "pay", null) with data.windows as table
		windows.refusals == set() with input as support.request(support.user, "initialize") with data.windows as table
	}
}

test_without_a_table_nothing_is_closed if {
	windows.refusals == set() with input as support.call(support.user, "pay", null)
	refused(support.call(support.user, "pay", null), []) == set()
}
