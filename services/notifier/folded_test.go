package notifier

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// opening is the opening of a pull request, and companion what Gitee sends along with it, as the API's JSON.
const (
	opening   = `{"id":"e-open","action":"ACTION_OPENED","hostAction":"open","hostActionDetail":"open",` + ofThePull
	companion = `{"id":"e-assign","action":"ACTION_ASSIGNED","hostAction":"open","hostActionDetail":"assign",` + ofThePull
	ofThePull = `"sender":{"login":"li"},"repository":{"path":"acme/shop","url":"https://gitee.com/acme/shop"},
	"pullRequest":{"number":"17","title":"Let it ring","url":"https://gitee.com/acme/shop/pulls/17","targetBranch":"main",
		"author":{"login":"li"},"assignees":[{"login":"wang"}]}}`
)

func TestWhatIsFoldedAwayNamesWhatTellsItAndCanBeSentAgain(t *testing.T) {
	s := start(t, plan{alter: func(cfg *configv1.Notifier) {
		robotIn(cfg, "plain").Folding = &configv1.Folding{Companions: new(true), Wait: durationpb.New(2 * time.Second)}
	}})
	for _, event := range []string{opening, companion} {
		if got := callGRPC(t, s, "Notify", fmt.Appendf(nil, `{"robots":["plain"],"event":%s}`, event)); got.Code != "OK" {
			t.Fatalf("Notify = %+v", got)
		}
	}
	s.await(t, "plain", func(st delivery.Status) bool { return st.Cursor >= 2 })
	if n := len(s.sim.MessagesOf(tokenOf("plain"))); n != 1 {
		t.Fatalf("the opening and what came along became %d messages", n)
	}
	type shown struct{ Name, State, Title, FoldedInto, Note, RedeliveryOf string }
	for _, d := range doors {
		var list struct{ Deliveries []shown }
		d.call(t, s, "ListDeliveries", []byte(`{"parent":"robots/plain"}`)).into(t, &list)
		folded, teller := list.Deliveries[0], list.Deliveries[1]
		if teller.FoldedInto != "" || teller.Note != "" {
			t.Errorf("%s: the one that tells is %+v", d.name, teller)
		}
		if folded.State != "DELIVERED" || folded.FoldedInto != teller.Name || !strings.Contains(folded.Note, teller.Title) {
			t.Errorf("%s: the one that is told along is %+v", d.name, folded)
		}
		var one struct{ Delivery shown }
		if d.call(t, s, "GetDelivery", []byte(`{"name":"robots/plain/deliveries/2"}`)).into(t, &one); one.Delivery != folded {
			t.Errorf("%s: GetDelivery shows %+v, ListDeliveries %+v", d.name, one.Delivery, folded)
		}
	}
	var again struct{ Delivery shown }
	callHTTP(t, s, "RedeliverDelivery", []byte(`{"name":"robots/plain/deliveries/2"}`)).into(t, &again)
	if again.Delivery.RedeliveryOf != "robots/plain/deliveries/2" {
		t.Errorf("it is sent again as %+v", again.Delivery)
	}
	s.await(t, "plain", func(st delivery.Status) bool { return st.Cursor >= 3 })
	if n := len(s.sim.MessagesOf(tokenOf("plain"))); n != 2 {
		t.Errorf("what was folded away and is sent again has no message of its own: the group has %d", n)
	}
}
