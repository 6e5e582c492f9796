package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/lifecycle"
)

func TestTheShippedConfigurationsOfComposeAreGood(t *testing.T) {
	files, err := filepath.Glob("compose/*/*.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("%q, %v: want the gateway's and the notifier's for one of each and for a cluster", files, err)
	}
	for _, file := range files {
		command := strings.TrimSuffix(filepath.Base(file), ".yaml")
		got := call(t.Context(), "check", "-c", file)
		if got.code != 0 || !strings.HasPrefix(got.stdout, file+" is good for belfry "+command+":") || strings.Contains(got.stdout, "warning") {
			t.Errorf("%+v", got)
		}
	}
}

func TestTheImageIsBuiltByTheGoThatTheModuleWants(t *testing.T) {
	wants := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(contents(t, "../../go.mod"))
	for _, file := range []string{"../../Dockerfile", "../../docker-compose.yml"} {
		named := regexp.MustCompile(`(?:GO_IMAGE=|GO_IMAGE:-)golang:([0-9.]+)`).FindAllSubmatch(contents(t, file), -1)
		if len(named) != 1 || string(named[0][1]) != string(wants[1]) {
			t.Errorf("%s names golang %q, go.mod says %s", file, named, wants[1])
		}
	}
}

// TestComposeOpensTheDoorAndThePageToThisMachineOnly looks at what docker-compose.yml publishes where nobody says
// otherwise.
func TestComposeOpensTheDoorAndThePageToThisMachineOnly(t *testing.T) {
	var file struct {
		Services map[string]struct{ Ports []string }
	}
	if err := yaml.Unmarshal(contents(t, "../../docker-compose.yml"), &file); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"gateway": "${BELFRY_DOOR:-127.0.0.1:8080}:8080", "simulator": "${BELFRY_PAGE:-127.0.0.1:8420}:8420"}
	if len(file.Services) < 7 {
		t.Errorf("only %d services were found", len(file.Services))
	}
	for name, s := range file.Services {
		if got := strings.Join(s.Ports, " "); got != want[name] {
			t.Errorf("%s publishes %q, want %q", name, got, want[name])
		}
	}
}

// workload is what the test looks at of a Deployment or a StatefulSet.
type workload struct {
	Spec struct {
		Replicas int
		Template struct {
			Spec struct {
				TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
				SecurityContext               struct {
					RunAsNonRoot bool `yaml:"runAsNonRoot"`
				} `yaml:"securityContext"`
				Containers []container
				Volumes    []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
				}
			}
		}
	}
}

type container struct {
	Args  []string
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	Lifecycle      struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	SecurityContext struct {
		ReadOnlyRootFilesystem bool `yaml:"readOnlyRootFilesystem"`
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		SubPath   string `yaml:"subPath"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet        struct{ Path, Port string } `yaml:"httpGet"`
	TimeoutSeconds int                         `yaml:"timeoutSeconds"`
}

// TestTheKubernetesManifestFitsBelfry holds the manifest against what Belfry wants of its surroundings, and the
// configurations in it against the schema.
func TestTheKubernetesManifestFitsBelfry(t *testing.T) {
	configurations, workloads := map[string]map[string]string{}, map[string]workload{}
	for d := yaml.NewDecoder(bytes.NewReader(contents(t, "kubernetes/belfry.yaml"))); ; {
		var node yaml.Node
		if err := d.Decode(&node); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		var head struct {
			Kind     string
			Metadata struct{ Name string }
			Data     map[string]string
		}
		if err := node.Decode(&head); err != nil {
			t.Fatal(err)
		}
		switch head.Kind {
		case "ConfigMap":
			configurations[head.Metadata.Name] = head.Data
		case "Deployment", "StatefulSet":
			var w workload
			if err := node.Decode(&w); err != nil {
				t.Fatal(err)
			}
			workloads[head.Metadata.Name] = w
		}
	}
	for _, name := range []string{"belfry-gateway", "belfry-notifier"} {
		w, ok := workloads[name]
		if !ok || w.Spec.Replicas < 2 || len(w.Spec.Template.Spec.Containers) != 1 {
			t.Fatalf("%s: %+v", name, w)
		}
		w.check(t, name, configurations)
	}
}

func (w workload) check(t *testing.T, name string, configurations map[string]map[string]string) {
	pod := w.Spec.Template.Spec
	c := pod.Containers[0]
	if grace, needs := pod.TerminationGracePeriodSeconds, c.Lifecycle.PreStop.Sleep.Seconds+int(lifecycle.StopTimeout/time.Second); grace < needs+5 {
		t.Errorf("%s gets %d seconds to stop, and may need %d", name, grace, needs)
	}
	if !pod.SecurityContext.RunAsNonRoot || !c.SecurityContext.ReadOnlyRootFilesystem {
		t.Errorf("%s may be root, or write everywhere", name)
	}
	if c.LivenessProbe.HTTPGet.Path != "/livez" || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.ReadinessProbe.TimeoutSeconds < 3 {
		t.Errorf("%s is asked at %+v and %+v; readyz may take 2 seconds", name, c.LivenessProbe, c.ReadinessProbe)
	}
	command, file := c.Args[0], c.Args[2]
	if name != "belfry-"+command || c.Args[1] != "-c" {
		t.Errorf("%s runs %q", name, c.Args)
	}
	source := ""
	for _, m := range c.VolumeMounts {
		if m.SubPath != "" {
			t.Errorf("%s: %s is mounted by subPath, so that no change is seen", name, m.Name)
		}
		for _, v := range pod.Volumes {
			if v.Name == m.Name && m.MountPath == filepath.Dir(file) {
				source = v.ConfigMap.Name
			}
		}
	}
	text, ok := configurations[source][filepath.Base(file)]
	if !ok {
		t.Fatalf("%s: there is no %s in the ConfigMap %q", name, file, source)
	}
	src, err := config.Read(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	cfg, missing, err := src.Draft(checks()...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	// The secrets are those of which the manifest's head tells how to make them.
	for _, m := range missing {
		if key, ok := strings.CutPrefix(strings.TrimSuffix(m, "}"), "${file:/etc/belfry-secrets/"); !ok || !bytes.Contains(contents(t, "kubernetes/belfry.yaml"), []byte("--from-file="+key)) {
			t.Errorf("%s: nothing says where %s comes from", name, m)
		}
	}
	var listens []string
	for _, addr := range []string{cfg.GetAdmin().GetListen(), cfg.GetGateway().GetListen(), cfg.GetNotifier().GetGrpc().GetListen(), cfg.GetNotifier().GetHttp().GetListen()} {
		if port, ok := strings.CutPrefix(addr, "0.0.0.0:"); ok {
			listens = append(listens, port)
		}
	}
	for _, p := range c.Ports {
		if port := strconv.Itoa(p.ContainerPort); !slices.Contains(listens, port) {
			t.Errorf("%s: nobody listens on the port %s (%s) for everybody: %q", name, p.Name, port, listens)
		}
	}
}

func contents(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
