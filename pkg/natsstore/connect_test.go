package natsstore

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
)

func TestConnectSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	plain := natstest.NewClusterWith(t, 1, natstest.Options{User: "belfry", Password: "right"})
	token := natstest.NewClusterWith(t, 1, natstest.Options{Token: "right", NoJetStream: true})
	secure := natstest.NewClusterWith(t, 1, natstest.Options{TLS: true})
	certs := secure.Certificates
	garbage := filepath.Join(t.TempDir(), "garbage.creds")
	if err := os.WriteFile(garbage, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	const hunter = "hunter2"
	for _, tt := range []struct {
		name string
		opts ClusterOptions
		want string
	}{
		// First, since the probe's stream isn't there yet.
		{"too many replicas", ClusterOptions{URL: plain.URL(), User: "belfry", Password: "right", Replicas: 3}, "set replicas to 1"},
		{"user and password", ClusterOptions{URL: plain.URL(), User: "belfry", Password: "right"}, ""},
		{"certificates", ClusterOptions{URL: secure.URL(), TLS: ClusterTLS{CAFile: certs.CAFile, CertFile: certs.ClientCert, KeyFile: certs.ClientKey}}, ""},
		{"wrong password", ClusterOptions{URL: plain.URL(), User: "belfry", Password: hunter}, "refuse the credentials"},
		{"wrong token", ClusterOptions{URL: token.URL(), Token: hunter}, "refuse the credentials"},
		{"no credentials", ClusterOptions{URL: plain.URL()}, "refuse the credentials"},
		{"garbage for credentials", ClusterOptions{URL: plain.URL(), CredentialsFile: garbage}, "credentials_file"},
		{"missing credentials file", ClusterOptions{URL: plain.URL(), CredentialsFile: garbage + "x"}, "credentials_file: open " + garbage + "x"},
		{"no JetStream", ClusterOptions{URL: token.URL(), Token: "right"}, "JetStream is off"},
		{"unknown authority", ClusterOptions{URL: secure.URL(), TLS: ClusterTLS{CertFile: certs.ClientCert, KeyFile: certs.ClientKey}}, "tls.ca_file"},
		{"a name that is not the certificate's", ClusterOptions{URL: secure.URL(), TLS: ClusterTLS{CAFile: certs.CAFile, CertFile: certs.ClientCert, KeyFile: certs.ClientKey, ServerName: "other.test"}}, "the names in the certificate"},
		{"no client certificate", ClusterOptions{URL: secure.URL(), TLS: ClusterTLS{CAFile: certs.CAFile}}, "tls.cert_file"},
		{"no TLS there", ClusterOptions{URL: plain.URL(), User: "belfry", Password: "right", TLS: ClusterTLS{CAFile: certs.CAFile}}, "doesn't speak it"},
		{"garbage for an authority", ClusterOptions{URL: secure.URL(), TLS: ClusterTLS{CAFile: garbage}}, "tls.ca_file: "},
		{"payload", ClusterOptions{URL: plain.URL(), User: "belfry", Password: "right", MinPayload: 2 << 20}, "max_payload"},
		{"nobody there", ClusterOptions{URL: "nats://127.0.0.1:1"}, "no server can be reached"},
		{"credentials in the URL", ClusterOptions{URL: "nats://belfry:hunter2@127.0.0.1:1"}, "url: give addresses such as"},
		{"another protocol", ClusterOptions{URL: "http://127.0.0.1:1"}, "url: give addresses such as"},
		{"replicas", ClusterOptions{URL: plain.URL(), Replicas: 2}, "replicas is 2"},
		{"two identities", ClusterOptions{URL: plain.URL(), User: hunter, Token: hunter}, "give one of"},
		{"certificate without a key", ClusterOptions{URL: plain.URL(), TLS: ClusterTLS{CertFile: certs.ClientCert}}, "cert_file and key_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if tt.want != "" {
				ctx, cancel = context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
			}
			if tt.opts.Replicas == 0 {
				tt.opts.Replicas = 1
			}
			tt.opts.Name = "test store"
			s, err := Connect(ctx, tt.opts)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if err := s.Healthy(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				s.Close()
				t.Fatal("Connect = nil")
			}
			t.Log(err)
			if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "test store") {
				t.Errorf("Connect = %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), hunter) {
				t.Errorf("Connect tells the secret: %v", err)
			}
		})
	}
}
