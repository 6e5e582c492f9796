package delivery_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// refuses answers calls through one member with err, and all others with yes.
func refuses(member string, err error) func(context.Context, call) (bool, error) {
	return func(_ context.Context, c call) (bool, error) {
		if c.member == member {
			return false, err
		}
		return true, nil
	}
}

func TestMembersTogetherCarryTheirBudgetsAndTheFirstGoesFirst(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.Robots = []delivery.Robot{robot("team", 3)}
		b.word(lines{max: 1})
		b.start()
		b.notify("team", ids(1, 60)...)
		time.Sleep(62 * time.Second) // the window has a second to spare
		b.finish()
		b.wantShown(ids(1, 60)...)
		if got, want := b.group.through(), strings.Repeat("m0 ", 20)+strings.Repeat("m1 ", 20)+strings.Repeat("m2 ", 10); !strings.HasPrefix(got, want) {
			t.Errorf("they went through %q", got)
		}
	})
}

func TestRefusedMemberCostsNeitherOrderNorTime(t *testing.T) {
	for name, err := range map[string]error{
		"suspended": refusal(dingtalk.RobotFault, dingtalk.ReasonTokenUnknown),
		"muted":     refusal(dingtalk.Throttled, dingtalk.ReasonThrottled),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.opts.Robots = []delivery.Robot{robot("team", 2)}
				b.group.answer = refuses("m0", err)
				b.start()
				for _, id := range ids(1, 30) {
					b.notify("team", id)
					synctest.Wait()
					if n := len(b.group.shown); b.group.shown[n-1] != id {
						t.Fatalf("%s waited", id)
					}
					time.Sleep(10 * time.Second)
				}
				st := b.status()
				if st.Waiting != nil || st.Suspension != nil || !st.MutedUntil.IsZero() {
					t.Errorf("the robot as a whole is said to wait: %+v", st)
				}
				if m := st.Members; m[1].Suspension != nil || (m[0].Suspension == nil) != (name == "muted") || m[0].MutedUntil.IsZero() != (name == "suspended") {
					t.Errorf("members: %+v", m)
				}
				b.finish()
				b.wantShown(ids(1, 30)...)
				if probes := strings.Count(b.group.through(), "m0"); probes < 2 || probes > 5 {
					t.Errorf("in five minutes the refused member was tried %d times", probes)
				}
			})
		})
	}
}

func TestMutedMemberIsNotCalledInsideItsMute(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.Robots = []delivery.Robot{robot("team", 2)}
		b.group.answer = refuses("m0", refusal(dingtalk.Throttled, dingtalk.ReasonThrottled))
		b.start()
		for range 120 { // 20 minutes
			b.notify("team", ids(1, 1)[0]+time.Now().String())
			time.Sleep(10 * time.Second)
		}
		b.finish()
		var tries []time.Time
		for _, c := range b.group.calls {
			if c.member == "m0" {
				tries = append(tries, c.at)
			}
		}
		if len(tries) < 3 || tries[1].Sub(tries[0]) < time.Minute || tries[2].Sub(tries[1]) < 10*time.Minute {
			t.Errorf("it was tried at %v", tries)
		}
	})
}

func TestGateThatTurnsTheAddressAwayRestsAllMembers(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.Robots = []delivery.Robot{robot("team", 3)}
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n == 0 {
				return false, &dingtalk.Refusal{Class: dingtalk.Throttled, Reason: dingtalk.ReasonThrottled, RetryAfter: 5 * time.Minute}
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		if st := b.status(); st.Waiting == nil || st.Waiting.Reason != notifierv1.ErrorReason_ERROR_REASON_THROTTLED || st.BudgetLeft != 0 ||
			st.Waiting.Verdict != delivery.Waiting || time.Until(st.MutedUntil) != 5*time.Minute || !st.NextSend.Equal(st.MutedUntil) {
			t.Errorf("status: %+v", st)
		}
		time.Sleep(6 * time.Minute)
		b.finish()
		b.wantShown("a")
		if gap := b.group.calls[1].at.Sub(b.group.calls[0].at); gap < 5*time.Minute {
			t.Errorf("the gate was called again after %v", gap)
		}
	})
}

func TestMomentaryThrottleOfTheOrganisationDoesNotLeadToTheLongMute(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			switch {
			case c.n < 3:
				return false, &dingtalk.Refusal{Class: dingtalk.Throttled, Reason: dingtalk.ReasonThrottled, Errcode: 90018, RetryAfter: time.Second}
			case c.n == 3:
				return false, refusal(dingtalk.Throttled, dingtalk.ReasonThrottled)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		time.Sleep(2 * time.Minute)
		b.finish()
		b.wantShown("a")
		if gap := b.group.calls[4].at.Sub(b.group.calls[3].at); gap > 70*time.Second {
			t.Errorf("the first real throttle led to a rest of %v", gap)
		}
	})
}

func TestUnknownOutcomeIsRepeatedThroughTheSameMemberOnly(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.Robots = []delivery.Robot{robot("team", 3)}
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			switch c.n {
			case 0:
				return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			case 1:
				return false, refusal(dingtalk.RobotFault, dingtalk.ReasonAddressNotAllowed)
			case 2:
				return false, refusal(dingtalk.Throttled, dingtalk.ReasonThrottled)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a", "b")
		time.Sleep(5 * time.Minute)
		b.finish()
		b.wantShown("a", "b")
		if got := b.group.through(); got != "m0 m0 m0 m0 m0" {
			t.Errorf("the calls went through %s", got)
		}
	})
}

func TestRefusedMemberWithAnUnknownOutcomeHoldsTheOthersUpForTenMinutesOnly(t *testing.T) {
	unknown := refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
	broken := refusal(dingtalk.RobotFault, dingtalk.ReasonTokenUnknown)
	tests := map[string]struct {
		members int
		shown   []string
	}{
		"others are well":   {members: 2, shown: []string{"b"}},
		"there is no other": {members: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.opts.Robots = []delivery.Robot{robot("team", tt.members)}
				b.group.answer = func(_ context.Context, c call) (bool, error) {
					switch {
					case c.n == 0:
						return false, unknown
					case c.member == "m0":
						return false, broken
					}
					return true, nil
				}
				b.start()
				b.notify("team", "a", "b")
				time.Sleep(9 * time.Minute)
				b.wantShown()
				if st := b.status(); st.Waiting == nil || st.Waiting.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_TOKEN_UNKNOWN {
					t.Errorf("it waits for %+v", st.Waiting)
				}
				time.Sleep(3 * time.Hour)
				b.finish()
				b.wantShown(tt.shown...)
				f := b.outcome("team", 1).Failure
				if wantDead := len(tt.shown) > 0; wantDead != (f != nil && f.Reason == notifierv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN && f.Verdict == delivery.GivenUp) {
					t.Errorf("the first one ended as %+v", f)
				}
			})
		})
	}
}

func TestMemberThatIsGoneWithAnUnknownOutcomeIsWaitedForTenMinutes(t *testing.T) {
	for _, back := range []bool{true, false} {
		bubble(t, func(t *testing.T, b *bench) {
			b.opts.Robots = []delivery.Robot{robot("team", 2)}
			b.group.answer = func(_ context.Context, c call) (bool, error) {
				if c.n == 0 {
					return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
				}
				return true, nil
			}
			b.start()
			b.notify("team", "a", "b")
			synctest.Wait()
			b.stop()
			b.opts.Robots[0].Members = b.opts.Robots[0].Members[1:]
			b.start()
			time.Sleep(5 * time.Minute)
			b.wantShown("a")
			if back {
				b.stop()
				b.opts.Robots = []delivery.Robot{robot("team", 2)}
				b.start()
			}
			time.Sleep(6 * time.Minute)
			b.finish()
			b.wantShown("a", "b")
			if out := b.outcome("team", 1); out.Delivered != back {
				t.Errorf("back: %t, but it ended as %+v", back, out)
			}
		})
	}
}

func TestStateOfAMemberThatIsGoneIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.Robots = []delivery.Robot{robot("team", 2)}
		b.group.answer = refuses("m0", refusal(dingtalk.RobotFault, dingtalk.ReasonTokenUnknown))
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		b.stop()
		b.opts.Robots[0].Members = b.opts.Robots[0].Members[1:]
		b.start()
		time.Sleep(2 * time.Minute) // its calls no longer count
		b.notify("team", "b")
		synctest.Wait()
		b.finish()
		b.wantShown("a", "b")
		rec, err := b.journal.Lane(context.Background(), "team")
		if _, ok := rec.Members["m0"]; ok || err != nil || len(rec.Members) != 1 {
			t.Errorf("members of the record: %+v, %v", rec.Members, err)
		}
	})
}

func TestAllMembersRefusedSuspendsTheRobotUntilOneIsMended(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var mended atomic.Bool
		b.opts.Robots = []delivery.Robot{robot("team", 3)}
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.member == "m2" && mended.Load() {
				return true, nil
			}
			return false, refusal(dingtalk.RobotFault, dingtalk.ReasonTokenUnknown)
		}
		b.start()
		b.notify("team", ids(1, 40)...)
		time.Sleep(time.Hour)
		synctest.Wait() // lanes look around each minute
		st := b.status()
		if st.Suspension == nil || st.Waiting == nil || st.Waiting.Verdict != delivery.MendConfiguration || !st.NextSend.Equal(st.Suspension.NextProbe) {
			t.Errorf("status: %+v", st)
		}
		mended.Store(true)
		time.Sleep(40 * time.Minute)
		b.finish()
		b.wantShown(ids(1, 40)...)
		if !slices.Equal(b.group.sizes, []int{40}) {
			t.Errorf("sizes of the messages: %v", b.group.sizes)
		}
	})
}
