package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// identity is a certificate with its key, both as PEM too.
type identity struct {
	certificate *x509.Certificate
	key         crypto.Signer
	certPEM     []byte
	keyPEM      []byte
}

// newAuthority makes a certificate authority.
func newAuthority(name string) (*identity, error) {
	return issue(nil, &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	})
}

// client makes a client certificate: Kubernetes reads the user from the common name, the groups from the organizations.
func (authority *identity) client(user string, groups ...string) (*identity, error) {
	return issue(authority, &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// server makes the serving certificate of the API server.
func (authority *identity) server() (*identity, error) {
	return issue(authority, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(firstServiceAddress)},
	})
}

// issue signs the template with the authority's key, or with its own where there is no authority.
func issue(authority *identity, template *x509.Certificate) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().AddDate(1, 0, 0)
	parent, signer := template, crypto.Signer(key)
	if authority != nil {
		parent, signer = authority.certificate, authority.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &identity{certificate, key, certPEM, keyPEM}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// write stores the pair as NAME.crt and NAME.key.
func (pair *identity) write(dir, name string) error {
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), pair.certPEM, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".key"), pair.keyPEM, 0o600)
}

// kubeconfig is the file with which the holder of the pair reaches the server. JSON is YAML.
func (pair *identity) kubeconfig(server string, authority *identity) ([]byte, error) {
	encode := base64.StdEncoding.EncodeToString
	type object map[string]any
	return json.MarshalIndent(object{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []object{{"name": "switchboard-test", "cluster": object{
			"server": server, "certificate-authority-data": encode(authority.certPEM)}}},
		"users": []object{{"name": pair.certificate.Subject.CommonName, "user": object{
			"client-certificate-data": encode(pair.certPEM), "client-key-data": encode(pair.keyPEM)}}},
		"contexts": []object{{"name": "switchboard-test", "context": object{
			"cluster": "switchboard-test", "user": pair.certificate.Subject.CommonName}}},
		"current-context": "switchboard-test",
	}, "", "  ")
}
