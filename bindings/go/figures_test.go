// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

// busy is a gate whose callers user:0 to user:3 were denied once to four times.
func busy(t *testing.T) (*tidegate.Gate, *tidegatetest.FakeClock) {
	t.Helper()
	clock := tidegatetest.NewClock(time.UnixMicro(1_763_683_200_000_000))
	gate := open(t, "memory://", tidegate.UseClock(clock), tidegate.Set("labels", "clear"))
	api := limiter(t, gate, "5/minute", tidegate.Name("api"))
	limiter(t, gate, "2 at once", tidegate.Name("slots"))
	for i := range 4 {
		for range 6 + i {
			consume(t, api, fmt.Sprint("user:", i))
		}
	}
	return gate, clock
}

// must is the value, or the end of the test.
func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// refused is an error of this kind whose text says so.
func refused(t *testing.T, err, kind error, says string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, expected %v that says %q", err, kind, says)
	}
}

func TestAReportHasTheLimitersAndASeriesItsSteps(t *testing.T) {
	gate, _ := busy(t)
	report := must[tidegate.Report](t)(gate.Report())
	api := report.Limiters["api"]
	if api.Denied != 1+2+3+4 || api.Cost != 20 || report.Allowed != 20 || !api.Complete ||
		api.Limited != 4 || api.Decisions["memory"]["denied"] != 10 ||
		report.Version != tidegate.Version() {
		t.Error(string(report.JSON))
	}
	var all map[string]any
	if err := json.Unmarshal(report.JSON, &all); err != nil || all["abi"] != 1.0 {
		t.Error(err, string(report.JSON))
	}
	get := must[tidegate.Series](t)
	series := get(gate.Series("api", 10*time.Minute, time.Minute))
	if len(series.Allowed) != 10 || series.Allowed[9] != 20 || series.StepUS != 60_000_000 {
		t.Errorf("%+v", series)
	}
	if n := len(get(gate.Series("", 0, 0)).Denied); n != 60 {
		t.Errorf("an hour has %d minutes", n)
	}
	_, err := gate.Series("", time.Hour, 7*time.Second)
	refused(t, err, tidegate.ErrConfig, "10 s")
}

func TestCallersAreShownAsTheOptionSays(t *testing.T) {
	gate, clock := busy(t)
	top := must[[]tidegate.TopCaller](t)
	most := top(gate.Top("api", tidegate.ByDenied, 2))
	if expected := []tidegate.TopCaller{
		{Caller: "user:3", Denied: 4}, {Caller: "user:2", Denied: 3},
	}; !slices.Equal(most, expected) {
		t.Errorf("%+v", most)
	}
	if cost := top(gate.Top("api", tidegate.ByCost, 20)); len(cost) == 0 || cost[0].Cost == 0 ||
		cost[0].Denied != 0 {
		t.Errorf("%+v", cost)
	}
	limited := must[[]tidegate.LimitedCaller](t)
	now := limited(gate.LimitedNow("api"))
	if len(now) != 4 || now[0] != (tidegate.LimitedCaller{
		Caller: "user:3", Denied: 4, RetryAfterUS: 12_000_000,
	}) {
		t.Errorf("%+v", now)
	}
	clock.Advance(5 * time.Second)
	if now = limited(gate.LimitedNow("api")); now[0].RetryAfterUS != 7_000_000 {
		t.Errorf("the clock is not followed: %+v", now)
	}
	_, err := gate.Top("nobody", tidegate.ByDenied, 20)
	refused(t, err, tidegate.ErrLimiterClosed, `"nobody"`)
	_, err = gate.Top("api", tidegate.TopBy(9), 20)
	refused(t, err, tidegate.ErrConfig, "by: expected")
	_, err = gate.Top("api", tidegate.ByCost, -1)
	refused(t, err, tidegate.ErrConfig, "expected 0 or more")
}

func TestCallersAreMaskedUnlessToldOtherwise(t *testing.T) {
	gate := open(t, "memory://")
	api := limiter(t, gate, "1/day", tidegate.Name("api"))
	for range 3 {
		consume(t, api, "user:42")
	}
	top, err := gate.Top("api", tidegate.ByDenied, 20)
	if err != nil || len(top) != 1 || !strings.HasPrefix(top[0].Caller, "use~") {
		t.Error(top, err)
	}
	events := must[tidegate.EventPage](t)(gate.Events(0, 100))
	said := fmt.Sprintf("%+v", events) + string(must[tidegate.Report](t)(gate.Report()).JSON) +
		must[string](t)(gate.Metrics())
	if strings.Contains(said, "user:42") || !strings.Contains(said, "use~") {
		t.Error(said)
	}
}

func TestACallerIsLookedUpByAnyKey(t *testing.T) {
	gate, _ := busy(t)
	find := must[tidegate.CallerReport](t)
	found := find(gate.LookUp(ctx, "user:3"))
	api := found.Limiters["api"]
	if api.Allowed || api.Denied != 4 || api.Source != "memory" || len(api.Rates) != 1 ||
		api.Rates[0].RetryAfterUS != 12_000_000 || found.More != 0 {
		t.Errorf("%+v", found)
	}
	if slots := found.Limiters["slots"]; slots.Rates[0].Remaining != 2 {
		t.Errorf("%+v", slots)
	}
	if !find(gate.LookUp(ctx, "somebody")).Limiters["api"].Allowed {
		t.Error("somebody else is limited")
	}
	if found = find(gate.LookUp(ctx, "\xff")); found.Caller != "\ufffd" {
		t.Errorf("%q", found.Caller)
	}
	_, err := gate.LookUp(ctx, "")
	refused(t, err, tidegate.ErrConfig, "1 byte or more")
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := gate.LookUp(over, "user:3"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	gate.Close()
	_, err = gate.LookUp(ctx, "user:3")
	refused(t, err, tidegate.ErrClosed, "closed")
	_, err = gate.Report()
	refused(t, err, tidegate.ErrClosed, "closed")
	_, err = gate.Metrics()
	refused(t, err, tidegate.ErrClosed, "closed")
}

func TestEventsGoOnBehindAPage(t *testing.T) {
	gate, _ := busy(t)
	page := must[tidegate.EventPage](t)
	all := page(gate.Events(tidegate.LastEvents, 100)).Events
	if len(all) != 4 || all[0].Kind != "denied" || all[0].Limiter != "api" ||
		all[0].Caller != "user:0" || all[0].ID == 0 {
		t.Fatalf("%+v", all)
	}
	first := page(gate.Events(0, 2))
	if rest := page(gate.Events(first.Next, 100)); !slices.Equal(rest.Events, all[2:]) {
		t.Errorf("%+v", rest)
	}
	if last := page(gate.Events(tidegate.LastEvents, 1)); !slices.Equal(last.Events, all[3:]) {
		t.Errorf("%+v", last)
	}
	_, err := gate.Events(-2, 1)
	refused(t, err, tidegate.ErrConfig, "after: expected")
}

func TestMetricsInBothFormats(t *testing.T) {
	gate, _ := busy(t)
	line := `tidegate_decisions_total{limiter="api",outcome="denied",source="memory"} 10` + "\n"
	if said := must[string](t)(gate.Metrics()); !strings.Contains(said, line) {
		t.Error(said)
	}
	if said := must[string](t)(gate.OpenMetrics()); !strings.HasSuffix(said, "# EOF\n") {
		t.Error(said)
	}
}

func TestFiguresOfManyLimitersAreWhole(t *testing.T) {
	gate := open(t, "memory://")
	const many = 300 // more than the first buffer, by far
	for i := range many {
		consume(t, limiter(t, gate, "1/day", tidegate.Name(fmt.Sprint("l", i))), "k")
	}
	found := must[tidegate.CallerReport](t)(gate.LookUp(ctx, "k"))
	report := must[tidegate.Report](t)(gate.Report())
	if len(found.Limiters) != many || len(report.Limiters) != many {
		t.Error(len(found.Limiters), len(report.Limiters))
	}
}

func TestAServerIsAskedWhatItWouldSay(t *testing.T) {
	eachWay(t, func(t *testing.T, s *servertest.Server, way ...tidegate.ConnectOption) {
		gate := open(t, s.URL("timeout_ms=5000"), way...)
		api := limiter(t, gate, "1/day", tidegate.Name("api"))
		if !consume(t, api, "user:42").Allowed || consume(t, api, "user:42").Allowed {
			t.Fatal("expected one of two")
		}
		patient, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for _, asks := range []context.Context{ctx, patient} {
			its := must[tidegate.CallerReport](t)(gate.LookUp(asks, "user:42")).Limiters["api"]
			if its.Allowed || its.Source != "store" || its.Rates[0].Limit != 1 {
				t.Errorf("%+v", its)
			}
		}
		report := must[tidegate.Report](t)(gate.Report())
		if report.Limiters["api"].Decisions["store"]["denied"] != 1 ||
			report.Durations.Decisions.Count != 2 || report.Durations.Decisions.P50US <= 0 ||
			report.Durations.RoundTrips.Count < 3 {
			t.Errorf("%+v", report)
		}
	})
}

func TestWhoLooksUpNeedNotWaitForASilentServer(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		gate := open(t, s.URL("timeout_ms=3000", "on_failure=closed"), quiet())
		consume(t, limiter(t, gate, "1/day", tidegate.Name("api")), "user:42")
		s.Stop()
		defer s.Continue()
		soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		begun := time.Now()
		_, err := gate.LookUp(soon, "user:42")
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) ||
			took > 2*time.Second {
			t.Error(err, took)
		}
	})
}

type schemaNode struct {
	Properties map[string]*schemaNode
	Items      *schemaNode
	Others     json.RawMessage `json:"additionalProperties"` // false, or what they are
}

// of is what the members of a map are.
func (n *schemaNode) of(t *testing.T) *schemaNode {
	t.Helper()
	var others schemaNode
	if err := json.Unmarshal(n.Others, &others); err != nil {
		t.Fatal(err)
	}
	return &others
}

// members are those of a type as encoding/json writes them.
func members(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		if name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ","); name != "-" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// The schema of figures is one for every language: a new member is one of these types too.
func TestTheTypesHaveTheMembersOfTheSchema(t *testing.T) {
	text := must[[]byte](t)(os.ReadFile("../../tests/stats/schema.json"))
	var schema struct {
		Defs map[string]*schemaNode `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	defs := schema.Defs
	report, lookUp := defs["report"].Properties, defs["look_up"]
	standing := lookUp.Properties["limiters"].of(t)
	for _, pair := range []struct {
		of any
		is *schemaNode
	}{
		{tidegate.LimiterReport{}, report["limiters"].of(t)},
		{tidegate.Durations{}, report["durations"].Properties["round_trips"]},
		{tidegate.Series{}, defs["series"]},
		{tidegate.TopCaller{}, defs["top"].Properties["callers"].Items},
		{tidegate.LimitedCaller{}, defs["limited_now"].Properties["callers"].Items},
		{tidegate.CallerReport{}, lookUp},
		{tidegate.Standing{}, standing},
		{tidegate.RateStanding{}, standing.Properties["rates"].Items},
		{tidegate.EventPage{}, defs["events"]},
		{tidegate.LoggedEvent{}, defs["events"].Properties["events"].Items},
	} {
		var expected []string
		for name := range pair.is.Properties {
			expected = append(expected, name)
		}
		slices.Sort(expected)
		if its := members(reflect.TypeOf(pair.of)); !slices.Equal(its, expected) {
			t.Errorf("%T has %v, the schema %v", pair.of, its, expected)
		}
	}
	for _, name := range members(reflect.TypeOf(tidegate.Report{})) {
		if report[name] == nil {
			t.Errorf("a report has no %s", name)
		}
	}
}
