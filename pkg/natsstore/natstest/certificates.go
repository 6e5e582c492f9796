package natstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are files (PEM) made for one cluster: an authority, and one pair for each side that it signed.
type Certificates struct {
	CAFile                string
	ServerCert, ServerKey string
	ClientCert, ClientKey string
}

// makeCertificates writes certificates into dir that are good for an hour and for 127.0.0.1.
func makeCertificates(t testing.TB, dir string) Certificates {
	t.Helper()
	caKey, ca := newKey(t), template(1, "Belfry's test authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	c := Certificates{CAFile: filepath.Join(dir, "ca.pem")}
	writePEM(t, c.CAFile, "CERTIFICATE", sign(t, ca, ca, &caKey.PublicKey, caKey))
	pair := func(serial int64, name string, usage x509.ExtKeyUsage) (cert, key string) {
		cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
		k, tmpl := newKey(t), template(serial, name)
		tmpl.ExtKeyUsage, tmpl.IPAddresses = []x509.ExtKeyUsage{usage}, []net.IP{net.IPv4(127, 0, 0, 1)}
		writePEM(t, cert, "CERTIFICATE", sign(t, tmpl, ca, &k.PublicKey, caKey))
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, key, "PRIVATE KEY", der)
		return cert, key
	}
	c.ServerCert, c.ServerKey = pair(2, "server", x509.ExtKeyUsageServerAuth)
	c.ClientCert, c.ClientKey = pair(3, "client", x509.ExtKeyUsageClientAuth)
	return c
}

func template(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, cert, by *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, by, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
