package gateway

import (
	"strings"
	"testing"

	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

func TestAHookThatCannotWorkIsRefusedByName(t *testing.T) {
	secret := &configv1.Hook_Signature{Signature: &configv1.Secret{Secret: testKey}}
	routes := []*configv1.Route{{Robots: []string{"team"}}}
	for _, tt := range []struct {
		name string
		hook *configv1.Hook
		want string
	}{
		{"a bad name", &configv1.Hook{Name: "-x", Authentication: secret, Routes: routes}, "lower-case"},
		{"no secret", &configv1.Hook{Name: "x", Routes: routes}, "secret"},
		{"an empty secret", &configv1.Hook{Name: "x", Authentication: &configv1.Hook_Password{Password: &configv1.Secret{}}, Routes: routes}, "secret"},
		{"no route", &configv1.Hook{Name: "x", Authentication: secret}, "route"},
		{"a bad robot", &configv1.Hook{Name: "x", Authentication: secret, Routes: []*configv1.Route{{Robots: []string{"A"}}}}, `"A"`},
		{"a faulty rule", &configv1.Hook{Name: "x", Authentication: secret, Routes: []*configv1.Route{{Robots: []string{"team"}}, {Robots: []string{"team"}, When: "kid == 1"}}}, "routes[1].when: 1:1: there is no variable `kid`"},
		{"a name twice", &configv1.Hook{Name: "signed", Authentication: secret, Routes: routes}, "two"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := testConfig()
			config.Hooks = append(config.Hooks, tt.hook)
			_, err := New(t.Context(), Options{Config: config, Notifier: &fakeNotifier{}, Spool: &fakeSpool{}, Log: zap.NewNop()})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `"`+tt.hook.GetName()+`"`) {
				t.Fatalf("error = %v, want one that names the hook and %q", err, tt.want)
			}
			if strings.Contains(err.Error(), testKey) {
				t.Error("the error holds the secret")
			}
		})
	}
}

func TestOptionsMustBeComplete(t *testing.T) {
	if _, err := New(t.Context(), Options{Config: testConfig(), Notifier: &fakeNotifier{}, Spool: &fakeSpool{}}); err == nil {
		t.Error("no error without Log")
	}
}

func TestASpoolThatCannotBeReadIsAnError(t *testing.T) {
	spool := &fakeSpool{fault: func(string) (bool, error) { return false, errAway }}
	if _, err := New(t.Context(), Options{Config: testConfig(), Notifier: &fakeNotifier{}, Spool: spool, Log: nopLog}); err == nil {
		t.Error("no error")
	}
}
