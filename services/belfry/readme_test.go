package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/tlsfile/tlstest"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestTheConfigurationsOfTheREADMEAreGood takes each YAML block of the README for what its keys say: a
// configuration, or a fragment of one, which then gets the rest.
func TestTheConfigurationsOfTheREADMEAreGood(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	// The certificates that the examples name.
	t.Chdir(t.TempDir())
	tlstest.NewAuthority(t, ".", "ca").Issue(t, "grpc.pem", "grpc.key")
	blocks := yamlBlock.FindAllStringSubmatchIndex(string(data), -1)
	if len(blocks) == 0 {
		t.Error("there are none")
	}
	for _, at := range blocks {
		block := string(data[at[2]:at[3]])
		t.Run(fmt.Sprintf("line %d", strings.Count(string(data[:at[2]]), "\n")+1), func(t *testing.T) {
			for i, m := range regexp.MustCompile(`\$\{([A-Z_][A-Z0-9_]*)\}`).FindAllStringSubmatch(block, -1) {
				value := fmt.Sprintf("SEC%032d", i) // two robots can't have the same token
				if strings.HasSuffix(m[1], "WEBHOOK") {
					value = "https://oapi.dingtalk.com/robot/send?access_token=" + value
				}
				t.Setenv(m[1], value)
			}
			yaml, err := completed(block)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := config.Parse("README", yaml, config.Parts{Gateway: true, Notifier: true}, checks()...); err != nil {
				t.Errorf("%v\nin:\n%s", err, yaml)
			}
		})
	}
}

func TestWhatIsNoConfigurationIsNotTakenForOne(t *testing.T) {
	for block, good := range map[string]bool{
		"notifier: {max_age: 1h}\n":                                    true,
		"quiet: {hours: [{from: 22:00, to: 08:00}]}\nlocale: ru\n":     true,
		"- {robots: [a, b], when: kind == \"push\"}\n":                 true,
		"notifier: {robots: [{name: x, webhook: 'http://a.example'}]}": false,
		"quiet: {hours: [{from: 25:00, to: 08:00}]}\n":                 false,
		"- {robots: [a, b], when: kind == push}\n":                     false,
		"max_ages: 1h\n":            false,
		"locale: ru\nmax_age: 1h\n": false,
	} {
		yaml, err := completed(block)
		if err == nil {
			_, err = config.Parse("test", yaml, config.Parts{Gateway: true, Notifier: true}, checks()...)
		}
		if (err == nil) != good {
			t.Errorf("%s: %v", block, err)
		}
	}
}

type object = map[string]any

// homes are where fragments belong, by the message that has their keys.
var homes = []struct {
	keysOf proto.Message
	home   func(fragment any) object
}{
	{&configv1.Config{}, func(f any) object { return f.(object) }},
	{&configv1.Gateway{}, func(f any) object { return object{"gateway": f} }},
	{&configv1.Notifier{}, func(f any) object { return object{"notifier": f} }},
	{&configv1.Hook{}, func(f any) object { return object{"gateway": object{"hooks": listOf(f)}} }},
	{&configv1.Robot{}, func(f any) object { return object{"notifier": object{"robots": listOf(f)}} }},
	{&configv1.Person{}, func(f any) object { return object{"notifier": object{"people": listOf(f)}} }},
	{&configv1.Route{}, func(f any) object {
		return object{"gateway": object{"hooks": []any{object{"routes": listOf(f)}}}}
	}},
}

func listOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// completed makes a whole configuration of a block.
func completed(block string) ([]byte, error) {
	var fragment any
	if err := yaml.Unmarshal([]byte(block), &fragment); err != nil {
		return nil, err
	}
	cfg := object(nil)
	for _, h := range homes {
		keys := h.keysOf.ProtoReflect().Descriptor().Fields()
		fits := true
		for _, entry := range listOf(fragment) {
			o, ok := entry.(object)
			fits = fits && ok
			for key := range o {
				fd := keys.ByTextName(key)
				fits = fits && fd != nil
			}
		}
		if _, isList := fragment.([]any); fits && !(isList && h.keysOf.ProtoReflect().Descriptor().Name() == "Config") {
			cfg = h.home(fragment)
			break
		}
	}
	if cfg == nil {
		return nil, fmt.Errorf("this is neither a configuration nor a part of one:\n%s", block)
	}
	gateway, notifier := partOf(cfg, "gateway"), partOf(cfg, "notifier")
	robots := make(map[string]bool)
	named := func(list []any) {
		for _, r := range list {
			robot := r.(object)
			absent(robot, "name", "team")
			robots[robot["name"].(string)] = true
			absent(robot, "webhook", "https://oapi.dingtalk.com/robot/send?access_token="+robot["name"].(string))
			if name, ok := robot["allowance"]; ok {
				absent(notifier, "allowances", []any{object{"name": name, "per_month": 1}})
			}
		}
	}
	absent(gateway, "hooks", []any{object{}})
	absent(notifier, "robots", []any{object{}})
	named(notifier["robots"].([]any))
	first := notifier["robots"].([]any)[0].(object)["name"]
	for _, h := range gateway["hooks"].([]any) {
		hook := h.(object)
		absent(hook, "name", "payments")
		if hook["password"] == nil {
			absent(hook, "signature", object{"secret": "SEC"})
		}
		absent(hook, "routes", []any{object{}})
		for _, r := range hook["routes"].([]any) {
			absent(r.(object), "robots", []any{first})
			for _, name := range r.(object)["robots"].([]any) {
				if !robots[name.(string)] {
					robot := object{"name": name}
					named([]any{robot})
					notifier["robots"] = append(notifier["robots"].([]any), robot)
				}
			}
		}
	}
	return yaml.Marshal(cfg)
}

func partOf(o object, key string) object {
	absent(o, key, object{})
	return o[key].(object)
}

func absent(o object, key string, value any) {
	if o[key] == nil {
		o[key] = value
	}
}
