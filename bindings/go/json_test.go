// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"encoding/json"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestADecisionAsJSON(t *testing.T) {
	gate, _ := manual(t)
	api := limiter(t, gate, "2/minute", tidegate.Name("api"))
	off := limiter(t, gate, "1/hour", tidegate.Name("off"), tidegate.Mode("off"))
	for _, c := range []struct {
		title, expect string
		decision      tidegate.Decision
	}{
		{"allowed", `{"allowed":true,"would_deny":false,"name":"api","limit":2,"remaining":1,` +
			`"retry_after_us":0,"reset_after_us":30000000,"source":"memory","parts":[{"allowed":true,` +
			`"shadow":false,"off":false,"name":"api","limit":2,"remaining":1,"capacity":2,` +
			`"window_us":60000000,"retry_after_us":0,"next_after_us":30000000,` +
			`"reset_after_us":30000000,"shortfall":0,"renewed":false}]}`, consume(t, api, "a")},
		{"never", `{"allowed":false,"would_deny":false,"name":"api","limit":2,"remaining":1,` +
			`"retry_after_us":"never","reset_after_us":30000000,"source":"memory","parts":[{` +
			`"allowed":false,"shadow":false,"off":false,"name":"api","limit":2,"remaining":1,` +
			`"capacity":2,"window_us":60000000,"retry_after_us":"never","next_after_us":30000000,` +
			`"reset_after_us":30000000,"shortfall":0,"renewed":false}]}`, consume(t, api, "a", tidegate.Cost(3))},
		{"off", `{"allowed":true,"would_deny":false,"name":"off","limit":1,"remaining":null,` +
			`"retry_after_us":null,"reset_after_us":null,"source":"memory","parts":[{"allowed":true,` +
			`"shadow":false,"off":true,"name":"off","limit":1,"remaining":null,"capacity":1,` +
			`"window_us":3600000000,"retry_after_us":null,"next_after_us":null,` +
			`"reset_after_us":null,"shortfall":0,"renewed":false}]}`, consume(t, off, "a")},
		{"nothing", `{"allowed":false,"would_deny":false,"name":null,"limit":0,"remaining":0,` +
			`"retry_after_us":0,"reset_after_us":0,"source":null,"parts":[]}`, tidegate.Decision{}},
	} {
		if text := asJSON(t, c.decision); text != c.expect {
			t.Errorf("%s:\n%s, expected\n%s", c.title, text, c.expect)
		}
	}
	if text := asJSON(t, tidegate.Part{NextAfter: 1500 * time.Nanosecond}); text !=
		`{"allowed":false,"shadow":false,"off":false,"name":null,"limit":0,"remaining":0,`+
			`"capacity":0,"window_us":0,"retry_after_us":0,"next_after_us":2,"reset_after_us":0,`+
			`"shortfall":0,"renewed":false}` {
		t.Error("a wait is rounded up:", text)
	}
}

func TestAStoreThatIsAwayIsNoNever(t *testing.T) {
	gate := open(t, "redis://127.0.0.1:1?timeout_ms=200", quiet())
	for policy, expect := range map[tidegate.Policy][2]string{
		tidegate.Closed: {`"fail_closed"`, "1000000"}, tidegate.Open: {`"fail_open"`, "null"},
	} {
		l := limiter(t, gate, "1/hour", tidegate.Name(string(policy)), tidegate.OnFailure(policy))
		var got map[string]json.RawMessage
		if err := json.Unmarshal([]byte(asJSON(t, consume(t, l, "k"))), &got); err != nil {
			t.Fatal(err)
		}
		if string(got["source"]) != expect[0] || string(got["retry_after_us"]) != expect[1] ||
			string(got["remaining"]) != "null" {
			t.Errorf("%s: %s", policy, got)
		}
	}
}
