package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	// certificateFile is in the folder that --tls names: the certificate, and its key.
	certificateFile = "simulator.pem"
	// certificateLife is how long a new one is good.
	certificateLife = 10 * 365 * 24 * time.Hour
)

// keptCertificate returns the certificate for host in the folder dir. One that is missing, for another host or
// expired at now is made anew.
//
// It is signed by itself and can sign no other, so that whoever trusts the file trusts this host alone. Go
// programs do when SSL_CERT_DIR names the folder.
func keptCertificate(dir, host string, now time.Time) (tls.Certificate, error) {
	file := filepath.Join(dir, certificateFile)
	kept, err := os.ReadFile(file)
	if err == nil {
		if cert, err := tls.X509KeyPair(kept, kept); err == nil && cert.Leaf.VerifyHostname(host) == nil &&
			now.After(cert.Leaf.NotBefore) && now.Before(cert.Leaf.NotAfter) {
			return cert, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, err
	}
	made, err := makeCertificate(host, now)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := tls.X509KeyPair(made, made)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return tls.Certificate{}, err
	}
	// Those who trust it may be reading.
	if err := os.WriteFile(file+".new", made, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return cert, os.Rename(file+".new", file)
}

// makeCertificate returns a certificate and its key, as PEM.
func makeCertificate(host string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Belfry's simulator of DingTalk"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: cert}) // a buffer takes all
	_ = pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return out.Bytes(), nil
}
