package door

import "time"

// Inspect reads the files of a listener and opens nothing. It returns when the certificate
// expires, or the zero time without TLS. The error explains what is wrong with a setting
// or a file.
func Inspect(cfg Config) (certificateEnd time.Time, err error) {
	if err := cfg.Validate(); err != nil {
		return time.Time{}, err
	}
	d := &Door{cfg: cfg, tls: newTLS(cfg), tokens: newTokens(cfg)}
	if _, err := d.load(); err != nil {
		return time.Time{}, err
	}
	if d.tls == nil {
		return time.Time{}, nil
	}
	end, _ := d.CertificateEnd()
	return end, nil
}
