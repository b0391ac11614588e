/* SPDX-License-Identifier: Apache-2.0 */
/* bundle_keys.h — keys made for the tests; they protect nothing. The certificate ends in a hundred
 * years. */
#pragma once

#define BUNDLE_RSA_PKCS1 \
    "-----BEGIN RSA PRIVATE KEY-----\n" \
    "MIIEogIBAAKCAQEAn5NT03KQPvdSW8BTkLYjJnPobZKXIDNzOY8UPCLDCUcRjhPi\n" \
    "zjtQ7vCT2w/+fMKRkPvBkXhok5tvoZHimZSTJqHPKdU2K1tCiL9LY5vkEpH+b6ZZ\n" \
    "jr3pFkv3ZoqxU444bZUnOGprRU4l7hX2acjvvyith1X3hf6VrRRAG2HMjtV36nwD\n" \
    "dI9juWS455PKuIKzdbdsqP3Z/jPvCqcTvaGicdrRNAJ7P//Qf7AW9LswOhESvcXd\n" \
    "DukzZNlksmVm4bLcV3SdDh+oGHKFqyo+XB8d/ti98E+CjNt9vzg/LrzJECUHKNf7\n" \
    "RojIujpaDviYa283ANsEHbcQnB3RkHfaw/i1CQIDAQABAoIBADLoAgbjdkbQCXMB\n" \
    "sObqY95BfbVu3U1FfI2xKkhg4o1UIbKMf39BBvmiv9hTiuDsBRoWZlLs8ZedL4iA\n" \
    "jKRn9GWPmxICVYyRSXFsbTVyptiRwHSHwew6g2A8jckll5pLNY8n1OI3eM8cNhd0\n" \
    "5C4tDuaRqIITF6qkY8VaP3U8xtANojCdo97foyfyqFkponQ/sglWzG74VbQeeAb6\n" \
    "hEAmYh2jvcVa2m5MJZa5MjGrqBHX6/a4rIefohablu7jhLfBbe6mVhmIkPE0sZuL\n" \
    "SBDbi4NslUhA52JqPrfNOdsJ25uZDNacH5t0DhlbjFqUfIXp7TsWQnycRcTuruI0\n" \
    "Soq21m0CgYEA2Sfh0r2oZGG8ktKFZyKWl8G8d0zvHNbmgcedBrEANki3CGyGKo8E\n" \
    "TC8LcluoWfBcQqfJtoHQtra3c/OqHQPwph+/9qmLQlon2rCrt4u3dZgSP91HeDsY\n" \
    "nTGV2cuufeVOSTy6MEj5jvndqXYvnr4ErAnODtps7SB70ThYQKa+rNsCgYEAvB6y\n" \
    "YT8FPdHpBH9KnPc6p4yj3Vm/BIKVqBFU05ntOeh9UAIw+eYnduidYgNMV2PTCP3L\n" \
    "OtyJi8AfvfK6tKL+mCAR8geu5sGdTCPuglr1X5tqBin5x5gWTHca068ZVJcWEO7u\n" \
    "4X06FNdAceC8pMSKeanBjFPMZKJuRQz2nB9KmOsCgYAP/anZdPHjgnb6cNo2AAwK\n" \
    "3M9eEaJCA2kyAVsE1R/o323rBuLSW3m7inNTVoCNLu/8UJLAB8swyT+1ICpUvKeJ\n" \
    "9CiUp2OD3VO1/PCIMZeu5yXg4hCTP/bODIq2YRNWXf5n0jr7t0P5TVkPU46qJ9/8\n" \
    "MzSjT15aD9xOSdHl4OGFpQKBgBJs40XZGVdTvwH8wb8cC/erM8WTa70yWRwsDmXn\n" \
    "Vq/sUJHMlSV04HqqD/gwoIKSuXHRAd3TCfnRKIq/QoA80rjtszREgmIBprl1b3//\n" \
    "Drd9jmXqKJffEpgMtmjzZoS9g6DG9kjJri2qY5qDy5ZL1dBSyy1Ga+eTbT+AJIto\n" \
    "GTNfAoGAX6YL/zt7NcecqITmeGwcY5VAbLAH8kwgC2YHlO0IysRW9N4OVkaXLyjj\n" \
    "F3QW1mhqcuVWNt29vZvuCVsg2luNQiC2/Pfb3jGjNbsoEPHI7aybYm+dVcIrvl01\n" \
    "VlULriwYpHNes9ZrdvuNXXIxcebUAaOElEKyduLBXG2FqKwR4Uk=\n" \
    "-----END RSA PRIVATE KEY-----\n"

#define BUNDLE_RSA \
    "-----BEGIN PRIVATE KEY-----\n" \
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCfk1PTcpA+91Jb\n" \
    "wFOQtiMmc+htkpcgM3M5jxQ8IsMJRxGOE+LOO1Du8JPbD/58wpGQ+8GReGiTm2+h\n" \
    "keKZlJMmoc8p1TYrW0KIv0tjm+QSkf5vplmOvekWS/dmirFTjjhtlSc4amtFTiXu\n" \
    "FfZpyO+/KK2HVfeF/pWtFEAbYcyO1XfqfAN0j2O5ZLjnk8q4grN1t2yo/dn+M+8K\n" \
    "pxO9oaJx2tE0Ans//9B/sBb0uzA6ERK9xd0O6TNk2WSyZWbhstxXdJ0OH6gYcoWr\n" \
    "Kj5cHx3+2L3wT4KM232/OD8uvMkQJQco1/tGiMi6OloO+JhrbzcA2wQdtxCcHdGQ\n" \
    "d9rD+LUJAgMBAAECggEAMugCBuN2RtAJcwGw5upj3kF9tW7dTUV8jbEqSGDijVQh\n" \
    "sox/f0EG+aK/2FOK4OwFGhZmUuzxl50viICMpGf0ZY+bEgJVjJFJcWxtNXKm2JHA\n" \
    "dIfB7DqDYDyNySWXmks1jyfU4jd4zxw2F3TkLi0O5pGoghMXqqRjxVo/dTzG0A2i\n" \
    "MJ2j3t+jJ/KoWSmidD+yCVbMbvhVtB54BvqEQCZiHaO9xVrabkwllrkyMauoEdfr\n" \
    "9rish5+iFpuW7uOEt8Ft7qZWGYiQ8TSxm4tIENuLg2yVSEDnYmo+t8052wnbm5kM\n" \
    "1pwfm3QOGVuMWpR8hentOxZCfJxFxO6u4jRKirbWbQKBgQDZJ+HSvahkYbyS0oVn\n" \
    "IpaXwbx3TO8c1uaBx50GsQA2SLcIbIYqjwRMLwtyW6hZ8FxCp8m2gdC2trdz86od\n" \
    "A/CmH7/2qYtCWifasKu3i7d1mBI/3Ud4OxidMZXZy6595U5JPLowSPmO+d2pdi+e\n" \
    "vgSsCc4O2mztIHvROFhApr6s2wKBgQC8HrJhPwU90ekEf0qc9zqnjKPdWb8EgpWo\n" \
    "EVTTme056H1QAjD55id26J1iA0xXY9MI/cs63ImLwB+98rq0ov6YIBHyB67mwZ1M\n" \
    "I+6CWvVfm2oGKfnHmBZMdxrTrxlUlxYQ7u7hfToU10Bx4LykxIp5qcGMU8xkom5F\n" \
    "DPacH0qY6wKBgA/9qdl08eOCdvpw2jYADArcz14RokIDaTIBWwTVH+jfbesG4tJb\n" \
    "ebuKc1NWgI0u7/xQksAHyzDJP7UgKlS8p4n0KJSnY4PdU7X88Igxl67nJeDiEJM/\n" \
    "9s4MirZhE1Zd/mfSOvu3Q/lNWQ9Tjqon3/wzNKNPXloP3E5J0eXg4YWlAoGAEmzj\n" \
    "RdkZV1O/AfzBvxwL96szxZNrvTJZHCwOZedWr+xQkcyVJXTgeqoP+DCggpK5cdEB\n" \
    "3dMJ+dEoir9CgDzSuO2zNESCYgGmuXVvf/8Ot32OZeool98SmAy2aPNmhL2DoMb2\n" \
    "SMmuLapjmoPLlkvV0FLLLUZr55NtP4Aki2gZM18CgYBfpgv/O3s1x5yohOZ4bBxj\n" \
    "lUBssAfyTCALZgeU7QjKxFb03g5WRpcvKOMXdBbWaGpy5VY23b29m+4JWyDaW41C\n" \
    "ILb899veMaM1uygQ8cjtrJtib51Vwiu+XTVWVQuuLBikc16z1mt2+41dcjFx5tQB\n" \
    "o4SUQrJ24sFcbYWorBHhSQ==\n" \
    "-----END PRIVATE KEY-----\n"

#define BUNDLE_RSA_PUBLIC \
    "-----BEGIN PUBLIC KEY-----\n" \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAn5NT03KQPvdSW8BTkLYj\n" \
    "JnPobZKXIDNzOY8UPCLDCUcRjhPizjtQ7vCT2w/+fMKRkPvBkXhok5tvoZHimZST\n" \
    "JqHPKdU2K1tCiL9LY5vkEpH+b6ZZjr3pFkv3ZoqxU444bZUnOGprRU4l7hX2acjv\n" \
    "vyith1X3hf6VrRRAG2HMjtV36nwDdI9juWS455PKuIKzdbdsqP3Z/jPvCqcTvaGi\n" \
    "cdrRNAJ7P//Qf7AW9LswOhESvcXdDukzZNlksmVm4bLcV3SdDh+oGHKFqyo+XB8d\n" \
    "/ti98E+CjNt9vzg/LrzJECUHKNf7RojIujpaDviYa283ANsEHbcQnB3RkHfaw/i1\n" \
    "CQIDAQAB\n" \
    "-----END PUBLIC KEY-----\n"

#define BUNDLE_RSA_OTHER \
    "-----BEGIN PUBLIC KEY-----\n" \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwPsuBuidtD5KRoqOhZAH\n" \
    "H60vl89YIZlQ6MIPRzyKGOlyi85drEV0NAxlCjHD2xfFrjGkOCoX1Ppt+ArHrfZ7\n" \
    "fJmTIntdNQZKByDz5FX+6aYv+VFYgZ2P0YeI+LzolJWQXJWMRKNtihpTBEYkKeQh\n" \
    "w40OaXC1MZa6ljG7XN43TlphGe3v/Y3sDG3WhXNFF20Lxdla/v+HQWSczGM9SEfV\n" \
    "kCQh+zFjvLNL73kOx8JTE/qs8qsqGOBco5OQLmyaPoxfTWNHk5M6NS/iotDd11NM\n" \
    "OnA1sEjoNpZTbhp/qjPoZiZYtztu3G7S97eOJGTMKj+CcPp5IcyfA6QgeYJW/MzT\n" \
    "2QIDAQAB\n" \
    "-----END PUBLIC KEY-----\n"

#define BUNDLE_RSA_CERTIFICATE \
    "-----BEGIN CERTIFICATE-----\n" \
    "MIIDATCCAemgAwIBAgIUUFnrjby0QJBtoPcF85FcsY/w5JIwDQYJKoZIhvcNAQEL\n" \
    "BQAwDzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjEyMDI3MjhaGA8yMTI2MTAyODIw\n" \
    "MjcyOFowDzENMAsGA1UEAwwEdGVzdDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCC\n" \
    "AQoCggEBAJ+TU9NykD73UlvAU5C2IyZz6G2SlyAzczmPFDwiwwlHEY4T4s47UO7w\n" \
    "k9sP/nzCkZD7wZF4aJObb6GR4pmUkyahzynVNitbQoi/S2Ob5BKR/m+mWY696RZL\n" \
    "92aKsVOOOG2VJzhqa0VOJe4V9mnI778orYdV94X+la0UQBthzI7Vd+p8A3SPY7lk\n" \
    "uOeTyriCs3W3bKj92f4z7wqnE72honHa0TQCez//0H+wFvS7MDoREr3F3Q7pM2TZ\n" \
    "ZLJlZuGy3Fd0nQ4fqBhyhasqPlwfHf7YvfBPgozbfb84Py68yRAlByjX+0aIyLo6\n" \
    "Wg74mGtvNwDbBB23EJwd0ZB32sP4tQkCAwEAAaNTMFEwHQYDVR0OBBYEFBe13jCY\n" \
    "yUVFuWi3eorpUPK3pN6fMB8GA1UdIwQYMBaAFBe13jCYyUVFuWi3eorpUPK3pN6f\n" \
    "MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBAAhiYo+wB/q/HyHL\n" \
    "PgFNs6NfqIC9CZ8f/OOXxbp+gWXml8wDx7dk7o3+GUnonLdwmzs25P8Yp5xmhlN4\n" \
    "N8NeiTokO+tNth/5S4NYsSafcFdgM29mwdU9LjgaD+L9cI7Mm56fmt8DvCpHJ9qM\n" \
    "J38fSVFlYg/6dnADLHN2GYqsA2DIF5TtHy5L1Mp5VDP8iYGUZ7qf2gYCDhqzbPGJ\n" \
    "6q1JUdNdqEvgiKnKo6vXAqNK0a3/gQMrTfVJTuYdtwGTxKLfpOsz352TF5vKAJoS\n" \
    "yCeZkme58dpMb4+kx493qJDaKZmGEr5VkWof19byCgXEZAZuamV4VrY//KbMvjU9\n" \
    "OH0OscA=\n" \
    "-----END CERTIFICATE-----\n"

#define BUNDLE_EC_SEC1 \
    "-----BEGIN EC PRIVATE KEY-----\n" \
    "MHcCAQEEIKvcG8WKZy/BlX1d7jPUsYOKQuajPHTp1MOG9m++NcMcoAoGCCqGSM49\n" \
    "AwEHoUQDQgAEeUn36sJITdJOwFt/IomBgOIs6Xe3Lhz8Sz5fKLnz1ryZqgGqlfDS\n" \
    "/EN9G+4laJ9Rdo1CTfO/gWjVnZ7HptkhaQ==\n" \
    "-----END EC PRIVATE KEY-----\n"

#define BUNDLE_EC \
    "-----BEGIN PRIVATE KEY-----\n" \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgq9wbxYpnL8GVfV3u\n" \
    "M9Sxg4pC5qM8dOnUw4b2b741wxyhRANCAAR5SffqwkhN0k7AW38iiYGA4izpd7cu\n" \
    "HPxLPl8oufPWvJmqAaqV8NL8Q30b7iVon1F2jUJN87+BaNWdnsem2SFp\n" \
    "-----END PRIVATE KEY-----\n"

#define BUNDLE_EC_PUBLIC \
    "-----BEGIN PUBLIC KEY-----\n" \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeUn36sJITdJOwFt/IomBgOIs6Xe3\n" \
    "Lhz8Sz5fKLnz1ryZqgGqlfDS/EN9G+4laJ9Rdo1CTfO/gWjVnZ7HptkhaQ==\n" \
    "-----END PUBLIC KEY-----\n"

#define BUNDLE_EC_OTHER \
    "-----BEGIN PUBLIC KEY-----\n" \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZxKpy5DUOWPjMCv5VOJ95ehPw/Qg\n" \
    "Bubj+z2WhR++Sx/2eTt25a1z1PzemgHsvVgHSMefxk8xvqYJ5D3EXx8CPQ==\n" \
    "-----END PUBLIC KEY-----\n"

#define BUNDLE_EC384 \
    "-----BEGIN PRIVATE KEY-----\n" \
    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAiokURULwhGrY59Rw4\n" \
    "PJeJDFw/JBXqZzGW5p+N1hApxtzqKkJxw1SHG9r0wOLiJPChZANiAAQHn9L7VQmR\n" \
    "UT9VZb6Ejaga326XHEO/qLXaiDjHDORLPHCwMlsmt+cP+A1cn9EJrAXwRy/j6las\n" \
    "0LLdZEPnzn7DWjGgewEqsmDmf9fxibYxM/aEYccDVvKC+G//uAQiIQo=\n" \
    "-----END PRIVATE KEY-----\n"

#define BUNDLE_EC384_PUBLIC \
    "-----BEGIN PUBLIC KEY-----\n" \
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEB5/S+1UJkVE/VWW+hI2oGt9ulxxDv6i1\n" \
    "2og4xwzkSzxwsDJbJrfnD/gNXJ/RCawF8Ecv4+pWrNCy3WRD585+w1oxoHsBKrJg\n" \
    "5n/X8Ym2MTP2hGHHA1bygvhv/7gEIiEK\n" \
    "-----END PUBLIC KEY-----\n"
