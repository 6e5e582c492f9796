package render

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// crowd returns n people, and a table that has them with long user ids.
func crowd(n int) ([]*eventv1.User, *People) {
	var users []*eventv1.User
	var table []Person
	for i := range n {
		login := fmt.Sprintf("user%d", i)
		users = append(users, &eventv1.User{Login: login, Name: login})
		table = append(table, Person{Gitee: login, UserID: fmt.Sprintf("%s-%03d", strings.Repeat("x", 90), i)})
	}
	return users, NewPeople(table)
}

func TestAsManyPeopleAsMarksHoldAreRememberedOfAnOpening(t *testing.T) {
	r := rendererOf(Options{Folding: allFolding})
	for n, folded := range map[int]bool{1: true, itemsPerMark: true, 30: true, itemsPerMark*maxMarksOf - 2: true, 60: false} {
		users, _ := crowd(n)
		one, err := r.Render(numbered(opening12(users...)), nil)
		if err != nil {
			t.Fatal(err)
		}
		again := numbered(assign12(eventv1.Action_ACTION_ASSIGNED, users...))
		again[0].Seq = 2
		told := toldOf(one)
		for i := range told {
			told[i].Time = foldTime
		}
		got, err := r.Render(again, told)
		if err != nil || (len(got.Folded) == 1) != folded {
			t.Errorf("%d people: folded %v, error %v", n, got.Folded, err)
		}
	}
}

func TestADigestStaysWithinItsRoomWhereLinesAreTakenBack(t *testing.T) {
	users, people := crowd(40)
	for _, pairs := range []int{1, 5} {
		var events []*eventv1.Event
		for i := range pairs {
			for _, action := range []eventv1.Action{eventv1.Action_ACTION_ASSIGNED, eventv1.Action_ACTION_OPENED} {
				e := assign12(action, users...)
				e.GetPullRequest().Number, e.Repository.Path = int64(i+1), fmt.Sprint("r/", i)
				events = append(events, e)
			}
		}
		o := calling()
		o.Folding, o.People = allFolding, people
		batch := numbered(slices.Concat(events, slices.Repeat([]*eventv1.Event{pushOf(300, 10)}, 150))...)
		got, err := rendererOf(o).Render(batch, nil)
		if err != nil || len(got.Folded) != pairs {
			t.Fatalf("folded %v, error %v", got.Folded, err)
		}
		body, err := dingtalk.Encode(got.Message, sampleUUID)
		if err != nil || len(body) > maxBody {
			t.Errorf("%d bytes, error %v", len(body), err)
		}
		if room := maxBody - len(body); room > digestTop+envelope+800 {
			t.Errorf("%d bytes are left, and only %d of %d used", room, got.Used, len(batch))
		}
		if at := atOf(t, got.Message); len(at) != 40 {
			t.Errorf("%d are called", len(at))
		}
	}
}

func TestWhatIsTakenBackLeavesItsRoomToOthers(t *testing.T) {
	var updates, removals []*eventv1.Event
	for i := range 100 {
		updates = append(updates, updated("update_label"))
		if i < 40 {
			fork := fmt.Sprintf("%s/%d", strings.Repeat("f", 60), i)
			removals = append(removals, in(fork, removal("b")), pulled(eventv1.Action_ACTION_MERGED, func(_ *eventv1.Event, p *eventv1.PullRequest) {
				p.Number, p.SourceRepository, p.SourceBranch = int64(i+1), fork, "b"
			}))
		}
	}
	r := rendererOf(Options{Folding: allFolding})
	for name, tt := range map[string]struct {
		events []*eventv1.Event
		folded int
	}{"updates": {updates, 99}, "groups": {removals, 40}} {
		filled := numbered(slices.Concat(tt.events, slices.Repeat([]*eventv1.Event{pushOf(300, 10)}, 200-len(tt.events)))...)
		got, err := r.Render(filled, nil)
		if err != nil || len(got.Folded) != tt.folded {
			t.Fatalf("%s: %d folded, error %v", name, len(got.Folded), err)
		}
		body, err := dingtalk.Encode(got.Message, sampleUUID)
		if err != nil || len(body) > maxBody {
			t.Errorf("%s: %d bytes, error %v", name, len(body), err)
		}
		if got.Used < 100+tt.folded && got.Used < len(filled) && maxBody-len(body) > 1500 {
			t.Errorf("%s: %d used, and %d bytes left", name, got.Used, maxBody-len(body))
		}
	}
}
