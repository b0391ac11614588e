/* SPDX-License-Identifier: Apache-2.0 */
/* policy_keys.h — keys and certificates made for the tests (they protect nothing), as they stand in
 * JSON strings. The certificates are valid from November 2026 on for a hundred years. */
#pragma once

#define KEY_RSA_PUBLIC \
    "-----BEGIN PUBLIC KEY-----\\n" \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsF15am+l3K3nH8lzmzpf\\n" \
    "tNfnG0Zr1aq7HkoEhGoce+qXQNUsT/qZvtxnnrFPMX9tadtH1uBZf4RVv+m63kjs\\n" \
    "dSz2ZTUGLSdksI/gVyhOtdHQ90GeOB+od77EUcJfPjGBCMC/JP8DI4FOCg/zHx2M\\n" \
    "vbgeIC3jtVX63WGAcr1b3jJN/lByEhFnQdA593fJdxLpTMEjglwFIoslWRhD3EeI\\n" \
    "cy0NQieUKrkPQZFnBQhQa4m+EtJs790McDOopROS8dTXW1fe2Y0sdX3xyGqTJ0pI\\n" \
    "oIoVCXgOdpcx6nEY4/p1PEbFI/fUZeB7npxWwE2dvWaM4uWHUocgItwWY2KI+eX0\\n" \
    "kQIDAQAB\\n" \
    "-----END PUBLIC KEY-----\\n"
#define KEY_RSA_JWK \
    "{\"d\":\"Ty1Hyv7gqZfxARZBrligiuG6wUX2N3B0nP6B1KiGrSL-UH7ja-yHhWYRpu7XLNOWXUWylMcXpuXUUVovK" \
    "If4kAple744TaE31QRipP5Vh87wT3DIBU5BJbEhFct7UsKKuVE-_u71i8ULMf1DGp77hljYPX4cklZNT4HsVpaoXbH" \
    "cq4VLXSPMblceYaeW95TH_dIZu4-yDBRwR4H4fd-UkfecubjOCK2tIWzokFfw4yaZzVVvnsb0JNZ_mNcjzSYg2KfvN" \
    "gzTt3nBi2iVAVovVL96YqSIrmcDMu5dRxlQO184ihSgbSqvHgQDlRLTr5gWUOgZ1-NeBqjN1wqzuHmEWQ\",\"dp\"" \
    ":\"R0_AzbJ9J_xGv_synruRIgMct2xpHNZwqJNjYoQB6TXnHNl2aad2cY2N4zDS-aGFIrZmCnQws4OgnH_gMveW33t" \
    "SnB-gs5LoWRVIz4TdIAnf0raSvUQZB5BwwdKpSCDXYOt3YwWsDhz6Jy5g2L2biY_ps1tC6rSyZ-w5n9nSMH8\",\"d" \
    "q\":\"TyK9yDZpZvcPse3Vr-yYlRtQdS1N0zDJCFI-vLheFsWlr6NNofH_0bpXi0H360dha3kpPyR6PYJki28qAzhO" \
    "f30YPVNJLSN_CXt-7xWzw-RhkXBSgtzMpmUHewsxK-QMQhYcIoGsyWvjSXLq3wBQp54Kb7ZYgvSF5SvtS3AmbS0\"," \
    "\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"sF15am-l3K3nH8lzmzpftNfnG0Zr1aq7HkoEhGoce-qXQNUsT_q" \
    "ZvtxnnrFPMX9tadtH1uBZf4RVv-m63kjsdSz2ZTUGLSdksI_gVyhOtdHQ90GeOB-od77EUcJfPjGBCMC_JP8DI4FOC" \
    "g_zHx2MvbgeIC3jtVX63WGAcr1b3jJN_lByEhFnQdA593fJdxLpTMEjglwFIoslWRhD3EeIcy0NQieUKrkPQZFnBQh" \
    "Qa4m-EtJs790McDOopROS8dTXW1fe2Y0sdX3xyGqTJ0pIoIoVCXgOdpcx6nEY4_p1PEbFI_fUZeB7npxWwE2dvWaM4" \
    "uWHUocgItwWY2KI-eX0kQ\",\"p\":\"4bLhl7jTF1i89XQoU7_CplWcNnXgC3ehVkHLlG9FoYUXYz6iUJribY-DyT" \
    "2n-zWUBlL2_3ijx-z2a5atF4yAz4b3uOp2J8d5vPBPYVRinkIj4nUYY-DfqqoLU-Z4xXApwlgNh_f6NiNJhkfg7u6u" \
    "06wFh5JkrwFi0yrVA9A0i-s\",\"q\":\"yAsHWxoQccGKvjuY4__Y1fRTBxFPQXPd4q-iTYYZtD35sXM-wNxAu6Ha" \
    "BQfzVXHlhpJ2S-4pNwuc10uhoCniQbgSvthPeOMmLvyqpxQm4X1v7sxHNIEmhXofo0mQulHMwQGAyUFXQn_6NQbbG-" \
    "WImY0z0VJ9488wqEZ8r5QcznM\",\"qi\":\"381pMjSw1anl4ilzk9sNWMSQwIaZpG8oUHw8i3aeAZgBiMBMa9CdD" \
    "mmJx5eE8pBipoAqlOwjOyYt4x65WEkiD1WZFu2otFfdaXVAfYQ7szI6qm76hjI_w3KldmDvhOvPolRt3NByNb7x9c9" \
    "PDKKymmjikJk29e1SZ0NwjzgLM-Y\"}"
#define KEY_RSA_PKCS8 \
    "-----BEGIN PRIVATE KEY-----\\n" \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCwXXlqb6Xcrecf\\n" \
    "yXObOl+01+cbRmvVqrseSgSEahx76pdA1SxP+pm+3GeesU8xf21p20fW4Fl/hFW/\\n" \
    "6breSOx1LPZlNQYtJ2Swj+BXKE610dD3QZ44H6h3vsRRwl8+MYEIwL8k/wMjgU4K\\n" \
    "D/MfHYy9uB4gLeO1VfrdYYByvVveMk3+UHISEWdB0Dn3d8l3EulMwSOCXAUiiyVZ\\n" \
    "GEPcR4hzLQ1CJ5QquQ9BkWcFCFBrib4S0mzv3QxwM6ilE5Lx1NdbV97ZjSx1ffHI\\n" \
    "apMnSkigihUJeA52lzHqcRjj+nU8RsUj99Rl4HuenFbATZ29Zozi5YdShyAi3BZj\\n" \
    "Yoj55fSRAgMBAAECggEATy1Hyv7gqZfxARZBrligiuG6wUX2N3B0nP6B1KiGrSL+\\n" \
    "UH7ja+yHhWYRpu7XLNOWXUWylMcXpuXUUVovKIf4kAple744TaE31QRipP5Vh87w\\n" \
    "T3DIBU5BJbEhFct7UsKKuVE+/u71i8ULMf1DGp77hljYPX4cklZNT4HsVpaoXbHc\\n" \
    "q4VLXSPMblceYaeW95TH/dIZu4+yDBRwR4H4fd+UkfecubjOCK2tIWzokFfw4yaZ\\n" \
    "zVVvnsb0JNZ/mNcjzSYg2KfvNgzTt3nBi2iVAVovVL96YqSIrmcDMu5dRxlQO184\\n" \
    "ihSgbSqvHgQDlRLTr5gWUOgZ1+NeBqjN1wqzuHmEWQKBgQDhsuGXuNMXWLz1dChT\\n" \
    "v8KmVZw2deALd6FWQcuUb0WhhRdjPqJQmuJtj4PJPaf7NZQGUvb/eKPH7PZrlq0X\\n" \
    "jIDPhve46nYnx3m88E9hVGKeQiPidRhj4N+qqgtT5njFcCnCWA2H9/o2I0mGR+Du\\n" \
    "7q7TrAWHkmSvAWLTKtUD0DSL6wKBgQDICwdbGhBxwYq+O5jj/9jV9FMHEU9Bc93i\\n" \
    "r6JNhhm0Pfmxcz7A3EC7odoFB/NVceWGknZL7ik3C5zXS6GgKeJBuBK+2E944yYu\\n" \
    "/KqnFCbhfW/uzEc0gSaFeh+jSZC6UczBAYDJQVdCf/o1Btsb5YiZjTPRUn3jzzCo\\n" \
    "RnyvlBzOcwKBgEdPwM2yfSf8Rr/7Mp67kSIDHLdsaRzWcKiTY2KEAek15xzZdmmn\\n" \
    "dnGNjeMw0vmhhSK2Zgp0MLODoJx/4DL3lt97UpwfoLOS6FkVSM+E3SAJ39K2kr1E\\n" \
    "GQeQcMHSqUgg12Drd2MFrA4c+icuYNi9m4mP6bNbQuq0smfsOZ/Z0jB/AoGATyK9\\n" \
    "yDZpZvcPse3Vr+yYlRtQdS1N0zDJCFI+vLheFsWlr6NNofH/0bpXi0H360dha3kp\\n" \
    "PyR6PYJki28qAzhOf30YPVNJLSN/CXt+7xWzw+RhkXBSgtzMpmUHewsxK+QMQhYc\\n" \
    "IoGsyWvjSXLq3wBQp54Kb7ZYgvSF5SvtS3AmbS0CgYEA381pMjSw1anl4ilzk9sN\\n" \
    "WMSQwIaZpG8oUHw8i3aeAZgBiMBMa9CdDmmJx5eE8pBipoAqlOwjOyYt4x65WEki\\n" \
    "D1WZFu2otFfdaXVAfYQ7szI6qm76hjI/w3KldmDvhOvPolRt3NByNb7x9c9PDKKy\\n" \
    "mmjikJk29e1SZ0NwjzgLM+Y=\\n" \
    "-----END PRIVATE KEY-----\\n"
#define KEY_P256_PUBLIC \
    "-----BEGIN PUBLIC KEY-----\\n" \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEA3cAAqfX+EZZiOeG3wgIKpwRKIDf\\n" \
    "n55i6SPNJrb1HQo+Bn+YbwWyiB89kcBy9e6VMa1FpyqWoBLC08qLZPjCSg==\\n" \
    "-----END PUBLIC KEY-----\\n"
#define KEY_P256_JWK \
    "{\"crv\":\"P-256\",\"d\":\"k-K44MIZjYui6qx4mzQ5Rx_EWyzvo-KD7vqQmgcH9EU\",\"kty\":\"EC\",\"" \
    "x\":\"A3cAAqfX-EZZiOeG3wgIKpwRKIDfn55i6SPNJrb1HQo\",\"y\":\"PgZ_mG8FsogfPZHAcvXulTGtRacqlq" \
    "ASwtPKi2T4wko\"}"
#define KEY_P256_PKCS8 \
    "-----BEGIN PRIVATE KEY-----\\n" \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgk+K44MIZjYui6qx4\\n" \
    "mzQ5Rx/EWyzvo+KD7vqQmgcH9EWhRANCAAQDdwACp9f4RlmI54bfCAgqnBEogN+f\\n" \
    "nmLpI80mtvUdCj4Gf5hvBbKIHz2RwHL17pUxrUWnKpagEsLTyotk+MJK\\n" \
    "-----END PRIVATE KEY-----\\n"
#define KEY_P384_PUBLIC \
    "-----BEGIN PUBLIC KEY-----\\n" \
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEA6LtBZFT7YA8gRIOpXTzCzP0LvQ1+HC/\\n" \
    "lmDhkrEc4S60YrOroiSOTUpH67vK/ZJ+O6YeOzph0Gn7cLNHgbmyEojZWI2rW7c8\\n" \
    "rDRW1p7o8CjKUfexsgZs3qliYSU/ixj5\\n" \
    "-----END PUBLIC KEY-----\\n"
#define KEY_P384_JWK \
    "{\"crv\":\"P-384\",\"d\":\"K7ToW2VuTHhPveywrxKDR_OJGyp9SYh6zxsI_Msa79VrvtWwQ3M57OaHHxUifNA" \
    "b\",\"kty\":\"EC\",\"x\":\"A6LtBZFT7YA8gRIOpXTzCzP0LvQ1-HC_lmDhkrEc4S60YrOroiSOTUpH67vK_ZJ" \
    "-\",\"y\":\"O6YeOzph0Gn7cLNHgbmyEojZWI2rW7c8rDRW1p7o8CjKUfexsgZs3qliYSU_ixj5\"}"
#define KEY_P384_PKCS8 \
    "-----BEGIN PRIVATE KEY-----\\n" \
    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDArtOhbZW5MeE+97LCv\\n" \
    "EoNH84kbKn1JiHrPGwj8yxrv1Wu+1bBDczns5ocfFSJ80BuhZANiAAQDou0FkVPt\\n" \
    "gDyBEg6ldPMLM/Qu9DX4cL+WYOGSsRzhLrRis6uiJI5NSkfru8r9kn47ph47OmHQ\\n" \
    "aftws0eBubISiNlYjatbtzysNFbWnujwKMpR97GyBmzeqWJhJT+LGPk=\\n" \
    "-----END PRIVATE KEY-----\\n"
#define KEY_P521_PUBLIC \
    "-----BEGIN PUBLIC KEY-----\\n" \
    "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBLL8V2IVK/6cBOeVLlgDfir95Kxo4\\n" \
    "806QY5R2AP7ONbeUeeY8ojeMWMPoL/9nZAaoPC89SwFfNshXqUIq1S5f5MkAmyPj\\n" \
    "wLCU15guDyeGbtMvlfYmaIpPMjnpsTFZRNY0zC4gYeSJ2eFDxFfef5EpiZVklbPT\\n" \
    "fFWQ0i94Fs1yV6DaAdc=\\n" \
    "-----END PUBLIC KEY-----\\n"
#define KEY_P521_JWK \
    "{\"crv\":\"P-521\",\"d\":\"AWIrfRrCtzTPQHx9OrxnRAP5d0Lrn-s50QmJ81rPPTU0Y5BijjU3CzOaban7IRz" \
    "P4sm0WIdkTAOWir2Yrmhl-pou\",\"kty\":\"EC\",\"x\":\"ASy_FdiFSv-nATnlS5YA34q_eSsaOPNOkGOUdgD" \
    "-zjW3lHnmPKI3jFjD6C__Z2QGqDwvPUsBXzbIV6lCKtUuX-TJ\",\"y\":\"AJsj48CwlNeYLg8nhm7TL5X2JmiKTz" \
    "I56bExWUTWNMwuIGHkidnhQ8RX3n-RKYmVZJWz03xVkNIveBbNcleg2gHX\"}"
#define KEY_P521_PKCS8 \
    "-----BEGIN PRIVATE KEY-----\\n" \
    "MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBYit9GsK3NM9AfH06\\n" \
    "vGdEA/l3Quuf6znRCYnzWs89NTRjkGKONTcLM5ptqfshHM/iybRYh2RMA5aKvZiu\\n" \
    "aGX6mi6hgYkDgYYABAEsvxXYhUr/pwE55UuWAN+Kv3krGjjzTpBjlHYA/s41t5R5\\n" \
    "5jyiN4xYw+gv/2dkBqg8Lz1LAV82yFepQirVLl/kyQCbI+PAsJTXmC4PJ4Zu0y+V\\n" \
    "9iZoik8yOemxMVlE1jTMLiBh5InZ4UPEV95/kSmJlWSVs9N8VZDSL3gWzXJXoNoB\\n" \
    "1w==\\n" \
    "-----END PRIVATE KEY-----\\n"
#define KEY_ED25519_PUBLIC \
    "-----BEGIN PUBLIC KEY-----\\n" \
    "MCowBQYDK2VwAyEAbslk46xwf3Ed108HVatYPPPWDvBVc0TNBYyCizxci1g=\\n" \
    "-----END PUBLIC KEY-----\\n"
#define KEY_ED25519_JWK \
    "{\"crv\":\"Ed25519\",\"d\":\"HZ0cL4D_RVVvvcZvkKI_G2bVWHulxuwRJdQSD2up9RI\",\"kty\":\"OKP\"" \
    ",\"x\":\"bslk46xwf3Ed108HVatYPPPWDvBVc0TNBYyCizxci1g\"}"
#define KEY_ED25519_PKCS8 \
    "-----BEGIN PRIVATE KEY-----\\n" \
    "MC4CAQAwBQYDK2VwBCIEIB2dHC+A/0VVb73Gb5CiPxtm1Vh7pcbsESXUEg9rqfUS\\n" \
    "-----END PRIVATE KEY-----\\n"
#define CERT_ROOT \
    "-----BEGIN CERTIFICATE-----\\n" \
    "MIIBzzCCAVWgAwIBAgIUMBxbAM6SWBEgJhH2ovceonRfPLswCgYIKoZIzj0EAwMw\\n" \
    "LjELMAkGA1UEBhMCREUxEDAOBgNVBAoMB0V4YW1wbGUxDTALBgNVBAMMBFJvb3Qw\\n" \
    "IBcNMjYxMTIxMTc1NTQ5WhgPMjEyNjEwMjgxNzU1NDlaMC4xCzAJBgNVBAYTAkRF\\n" \
    "MRAwDgYDVQQKDAdFeGFtcGxlMQ0wCwYDVQQDDARSb290MHYwEAYHKoZIzj0CAQYF\\n" \
    "K4EEACIDYgAEA6LtBZFT7YA8gRIOpXTzCzP0LvQ1+HC/lmDhkrEc4S60YrOroiSO\\n" \
    "TUpH67vK/ZJ+O6YeOzph0Gn7cLNHgbmyEojZWI2rW7c8rDRW1p7o8CjKUfexsgZs\\n" \
    "3qliYSU/ixj5ozIwMDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBSl4pJasbY1\\n" \
    "gCkcUV1I9O1e9ggVXzAKBggqhkjOPQQDAwNoADBlAjEAqS+o4V72eDjKsOYgoQAR\\n" \
    "oVQvRzXUIKramFmHU/E5smFCN1O+GIVi0hFd4TPy9oZ+AjActdQw1yCEGt+k/Rg3\\n" \
    "G9xuwzjPdtyFyEqQ49Z13j6mX5Jk0Hj5vUsGZPNC7QLGNM4=\\n" \
    "-----END CERTIFICATE-----\\n"
#define CERT_INTERMEDIATE \
    "-----BEGIN CERTIFICATE-----\\n" \
    "MIIDqDCCAy+gAwIBAgIUQacNoqTOXb1CsxtQEbKrSS9cugowCgYIKoZIzj0EAwIw\\n" \
    "LjELMAkGA1UEBhMCREUxEDAOBgNVBAoMB0V4YW1wbGUxDTALBgNVBAMMBFJvb3Qw\\n" \
    "IBcNMjYxMTIxMTc1NTUwWhgPMjEyNjEwMjgxNzU1NTBaMGMxCzAJBgNVBAYTAkRF\\n" \
    "MQswCQYDVQQIDAJCeTEKMAgGA1UEBwwBTTEQMA4GA1UECgwHRXhhbXBsZTEMMAoG\\n" \
    "A1UECwwDT3BzMQ4wDAYDVQQDDAVJbnRlcjELMAkGA1UEBRMCNzcwggEiMA0GCSqG\\n" \
    "SIb3DQEBAQUAA4IBDwAwggEKAoIBAQCwXXlqb6XcrecfyXObOl+01+cbRmvVqrse\\n" \
    "SgSEahx76pdA1SxP+pm+3GeesU8xf21p20fW4Fl/hFW/6breSOx1LPZlNQYtJ2Sw\\n" \
    "j+BXKE610dD3QZ44H6h3vsRRwl8+MYEIwL8k/wMjgU4KD/MfHYy9uB4gLeO1Vfrd\\n" \
    "YYByvVveMk3+UHISEWdB0Dn3d8l3EulMwSOCXAUiiyVZGEPcR4hzLQ1CJ5QquQ9B\\n" \
    "kWcFCFBrib4S0mzv3QxwM6ilE5Lx1NdbV97ZjSx1ffHIapMnSkigihUJeA52lzHq\\n" \
    "cRjj+nU8RsUj99Rl4HuenFbATZ29Zozi5YdShyAi3BZjYoj55fSRAgMBAAGjggEn\\n" \
    "MIIBIzASBgNVHRMBAf8ECDAGAQH/AgECMA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4E\\n" \
    "FgQUP9CAK0OKCl+N41NpTKcR+/Owy18wGgYDVR0eBBMwEaAPMA2CC2V4YW1wbGUu\\n" \
    "Y29tMBMGA1UdIAQMMAowCAYGZ4EMAQIBMC0GA1UdHwQmMCQwIqAgoB6GHGh0dHA6\\n" \
    "Ly9jcmwuZXhhbXBsZS5jb20vYS5jcmwwXQYIKwYBBQUHAQEEUTBPMCMGCCsGAQUF\\n" \
    "BzABhhdodHRwOi8vb2NzcC5leGFtcGxlLmNvbTAoBggrBgEFBQcwAoYcaHR0cDov\\n" \
    "L2NhLmV4YW1wbGUuY29tL2NhLmNlcjAfBgNVHSMEGDAWgBSl4pJasbY1gCkcUV1I\\n" \
    "9O1e9ggVXzAKBggqhkjOPQQDAgNnADBkAjB4KQA46iLfWpoA6Sn08hffc1tr2/Xg\\n" \
    "3mZTPpE0HXuXw5pMbP1Fjtn0bKxapDC3SVICMFAuiBOpXPA1puL+8XHeIl3Gk1jb\\n" \
    "xmGVG0+qPPLWJMnGjsElj4A4y8FgJYrd7bDNgw==\\n" \
    "-----END CERTIFICATE-----\\n"
#define CERT_LEAF \
    "-----BEGIN CERTIFICATE-----\\n" \
    "MIIDNDCCAhygAwIBAgIUQMv5s9cB+6daQjw1COTc4C7tQJQwDQYJKoZIhvcNAQEL\\n" \
    "BQAwYzELMAkGA1UEBhMCREUxCzAJBgNVBAgMAkJ5MQowCAYDVQQHDAFNMRAwDgYD\\n" \
    "VQQKDAdFeGFtcGxlMQwwCgYDVQQLDANPcHMxDjAMBgNVBAMMBUludGVyMQswCQYD\\n" \
    "VQQFEwI3NzAgFw0yNjExMjExNzU1NTBaGA8yMTI2MTAyODE3NTU1MFowGjEYMBYG\\n" \
    "A1UEAwwPd3d3LmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\\n" \
    "A3cAAqfX+EZZiOeG3wgIKpwRKIDfn55i6SPNJrb1HQo+Bn+YbwWyiB89kcBy9e6V\\n" \
    "Ma1FpyqWoBLC08qLZPjCSqOB8TCB7jAJBgNVHRMEAjAAMAsGA1UdDwQEAwIHgDAi\\n" \
    "BgNVHSUEGzAZBggrBgEFBQcDAQYIKwYBBQUHAwIGAyoDBDBwBgNVHREEaTBngg93\\n" \
    "d3cuZXhhbXBsZS5jb22CESouYXBpLmV4YW1wbGUuY29thwQKAQIDhxAgAQ24AAAA\\n" \
    "AAAAAAAAAAABgQ1hQGV4YW1wbGUuY29thhpzcGlmZmU6Ly9leGFtcGxlLmNvbS93\\n" \
    "P3g9MTAfBgNVHSMEGDAWgBQ/0IArQ4oKX43jU2lMpxH787DLXzAdBgNVHQ4EFgQU\\n" \
    "sBWpL1Iq9LAY6uOXUwtXErSztA8wDQYJKoZIhvcNAQELBQADggEBAGnjbjHdEJUM\\n" \
    "JXYOm61wFFN55Hc44mpK7MapJyMwB8gtTAOR4R4nStVbtiowXxwLifdCol4h9CGl\\n" \
    "tgmzvpNbB2TeZCRe2NXDCARFEq0O8U2ZtEC6zUrH5+A65ubP1PstZdbWm3YBA+1E\\n" \
    "UQWj65lSC1TMXMItXO/KMFKkjSANecQaRt+6WDcIC2wA1Fh0Q4uvW4wci3B68wcp\\n" \
    "81/Sydb3NcOekqSZaFm3FEu20qwWHnqYIpFu7z5DGJBTQL5+zkWmtzfUbQ4ygsP7\\n" \
    "ORmzkbleqdGzFmtkZU7OVgX4t2ycYggExNcqCdBSbTwgnThZYv9TC6QaQrjcfXdy\\n" \
    "SJgMo+7r1vg=\\n" \
    "-----END CERTIFICATE-----\\n"
#define CERT_LEAF_PSS \
    "-----BEGIN CERTIFICATE-----\\n" \
    "MIIDnjCCAlGgAwIBAgIUQMv5s9cB+6daQjw1COTc4C7tQJUwQgYJKoZIhvcNAQEK\\n" \
    "MDWgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEF\\n" \
    "AKIEAgIA3jBjMQswCQYDVQQGEwJERTELMAkGA1UECAwCQnkxCjAIBgNVBAcMAU0x\\n" \
    "EDAOBgNVBAoMB0V4YW1wbGUxDDAKBgNVBAsMA09wczEOMAwGA1UEAwwFSW50ZXIx\\n" \
    "CzAJBgNVBAUTAjc3MCAXDTI2MTEyMTE3NTU1MFoYDzIxMjYxMDI4MTc1NTUwWjAa\\n" \
    "MRgwFgYDVQQDDA93d3cuZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMB\\n" \
    "BwNCAAQDdwACp9f4RlmI54bfCAgqnBEogN+fnmLpI80mtvUdCj4Gf5hvBbKIHz2R\\n" \
    "wHL17pUxrUWnKpagEsLTyotk+MJKo4HxMIHuMAkGA1UdEwQCMAAwCwYDVR0PBAQD\\n" \
    "AgeAMCIGA1UdJQQbMBkGCCsGAQUFBwMBBggrBgEFBQcDAgYDKgMEMHAGA1UdEQRp\\n" \
    "MGeCD3d3dy5leGFtcGxlLmNvbYIRKi5hcGkuZXhhbXBsZS5jb22HBAoBAgOHECAB\\n" \
    "DbgAAAAAAAAAAAAAAAGBDWFAZXhhbXBsZS5jb22GGnNwaWZmZTovL2V4YW1wbGUu\\n" \
    "Y29tL3c/eD0xMB8GA1UdIwQYMBaAFD/QgCtDigpfjeNTaUynEfvzsMtfMB0GA1Ud\\n" \
    "DgQWBBSwFakvUir0sBjq45dTC1cStLO0DzBCBgkqhkiG9w0BAQowNaAPMA0GCWCG\\n" \
    "SAFlAwQCAQUAoRwwGgYJKoZIhvcNAQEIMA0GCWCGSAFlAwQCAQUAogQCAgDeA4IB\\n" \
    "AQCMUI0eODd/neU7OWWqt36XdezRt9XHllMohtjkRlBBJ9MJWvrrl+gb3KVcgcOZ\\n" \
    "kjLTihAEojxxBm9FKgJY+ZsYPD56V39tc1s65N8hp6+205DBE4BHGID8oJ7Sls2O\\n" \
    "ZEZlB0Lv9eGTu18xjxOXNQmlF4KYopqFrZvML+A6mRTxNI8MMDpqEsvkonQGJr51\\n" \
    "Om7i3t2g0wKHwHlmbTzsCV4EbR9mOHaofID4p5fT5nNsClhDxMHNU09UVvZbtMY/\\n" \
    "n49x12tvxwtRe2oq0ec01LdjNSCuqWiHzQ4KgS/XEcNh7W2OxZj45rDQuiutqyik\\n" \
    "IM9FM65bLPVegX49FFkIn2Gg\\n" \
    "-----END CERTIFICATE-----\\n"
#define CERT_ED25519 \
    "-----BEGIN CERTIFICATE-----\\n" \
    "MIIBMDCB46ADAgECAhRhyW4+Uu3JErWrVtO1V6YQ3mp5STAFBgMrZXAwDTELMAkG\\n" \
    "A1UEAwwCRWQwIBcNMjYxMTIxMTc1NTUwWhgPMjEyNjEwMjgxNzU1NTBaMA0xCzAJ\\n" \
    "BgNVBAMMAkVkMCowBQYDK2VwAyEAbslk46xwf3Ed108HVatYPPPWDvBVc0TNBYyC\\n" \
    "izxci1ijUzBRMB0GA1UdDgQWBBRIBbnPm7U/Livt1bbCuhEVXhbrMDAfBgNVHSME\\n" \
    "GDAWgBRIBbnPm7U/Livt1bbCuhEVXhbrMDAPBgNVHRMBAf8EBTADAQH/MAUGAytl\\n" \
    "cANBAPpUvtocCNfue7k7guMz3GNu5XNRHWXwOtu5dc8xMnM78PF0Gyc9rcaJn4rf\\n" \
    "ra9t06Ym4Iq9fHB70MAU/7J9agc=\\n" \
    "-----END CERTIFICATE-----\\n"
#define CERT_REQUEST \
    "-----BEGIN CERTIFICATE REQUEST-----\\n" \
    "MIICqDCCAZACAQAwYzELMAkGA1UEBhMCREUxCzAJBgNVBAgMAkJ5MQowCAYDVQQH\\n" \
    "DAFNMRAwDgYDVQQKDAdFeGFtcGxlMQwwCgYDVQQLDANPcHMxDjAMBgNVBAMMBUlu\\n" \
    "dGVyMQswCQYDVQQFEwI3NzCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEB\\n" \
    "ALBdeWpvpdyt5x/Jc5s6X7TX5xtGa9Wqux5KBIRqHHvql0DVLE/6mb7cZ56xTzF/\\n" \
    "bWnbR9bgWX+EVb/put5I7HUs9mU1Bi0nZLCP4FcoTrXR0PdBnjgfqHe+xFHCXz4x\\n" \
    "gQjAvyT/AyOBTgoP8x8djL24HiAt47VV+t1hgHK9W94yTf5QchIRZ0HQOfd3yXcS\\n" \
    "6UzBI4JcBSKLJVkYQ9xHiHMtDUInlCq5D0GRZwUIUGuJvhLSbO/dDHAzqKUTkvHU\\n" \
    "11tX3tmNLHV98chqkydKSKCKFQl4DnaXMepxGOP6dTxGxSP31GXge56cVsBNnb1m\\n" \
    "jOLlh1KHICLcFmNiiPnl9JECAwEAAaAAMA0GCSqGSIb3DQEBCwUAA4IBAQBKPVFj\\n" \
    "Q/4EGDPD3lV12Ga2ISRNO0/wCZiH560V7zmtBE65HjR7TDAO7q39D3uX9iVQVsRA\\n" \
    "2BywDIB0aKKsGdLJiPOPWZ2cGoq5twYeL/UkyLYnkBs2R4RG5oFhOxkN9T4C1eF5\\n" \
    "69jwbM9z58WsFa4a+vuOr+8Kbi71ld8J2enBD50ZLVZ9BafPBWCZnz7v56ax8nsW\\n" \
    "+omiDlG5efgASavNzg10PYkHzORPnGR6PJCsWAJf4nBGexLSrV0yqgx++gBLyxS8\\n" \
    "A0XGKoXx2c0bxbj17nJkb6FWTkMytpRS1KZQLoCcYycf/txv65gf++DP7jNOtNTz\\n" \
    "iSP/HnUertBZDKid\\n" \
    "-----END CERTIFICATE REQUEST-----\\n"
#define KEY_P256_SEC1 \
    "-----BEGIN EC PRIVATE KEY-----\\n" \
    "MHcCAQEEIJPiuODCGY2LouqseJs0OUcfxFss76Pig+76kJoHB/RFoAoGCCqGSM49\\n" \
    "AwEHoUQDQgAEA3cAAqfX+EZZiOeG3wgIKpwRKIDfn55i6SPNJrb1HQo+Bn+YbwWy\\n" \
    "iB89kcBy9e6VMa1FpyqWoBLC08qLZPjCSg==\\n" \
    "-----END EC PRIVATE KEY-----\\n"
