# SPDX-License-Identifier: Apache-2.0
# net/deps.mk — which lwIP, mbedTLS, zlib and nghttp2 files we build, and their flags.
# Settings: net/config/lwipopts.h, net/config/arch/cc.h, net/config/mbedtls_config.h,
# net/config/nghttp2_config.h.

LIBS        += lwip mbedtls zlib nghttp2

lwip_SRC    := $(addprefix src/core/, def dns inet_chksum init ip mem memp netif pbuf raw stats sys \
                 tcp tcp_in tcp_out timeouts udp) \
               $(addprefix src/core/ipv4/, dhcp etharp icmp ip4 ip4_addr ip4_frag) \
               $(addprefix src/core/ipv6/, ethip6 icmp6 inet6 ip6 ip6_addr ip6_frag mld6 nd6) \
               src/netif/ethernet
lwip_INC    := -I. -Inet/config -Ibuild/src/lwip/src/include
lwip_CONFIG := net/config/lwipopts.h net/config/arch/cc.h net/config/lwip_hooks.h

mbedtls_SRC := $(addprefix library/, aes aesni asn1parse asn1write base64 bignum bignum_core bignum_mod \
                 bignum_mod_raw block_cipher ccm chacha20 chachapoly cipher cipher_wrap cmac \
                 constant_time debug dhm ecdh ecdsa ecp ecp_curves \
                 error gcm hkdf hmac_drbg md md5 memory_buffer_alloc nist_kw oid pem pk pk_ecc pk_wrap \
                 pkcs5 pkcs12 pkparse pkwrite platform platform_util poly1305 psa_crypto \
                 psa_crypto_aead psa_crypto_cipher psa_crypto_client \
                 psa_crypto_driver_wrappers_no_static psa_crypto_ecp psa_crypto_ffdh \
                 psa_crypto_hash psa_crypto_mac psa_crypto_pake psa_crypto_random psa_crypto_rsa \
                 psa_crypto_slot_management psa_crypto_storage psa_util rsa rsa_alt_helpers sha1 \
                 sha256 sha3 sha512 ssl_ciphersuites ssl_client ssl_cookie \
                 ssl_debug_helpers_generated ssl_msg ssl_ticket ssl_tls ssl_tls12_client \
                 ssl_tls12_server ssl_tls13_client ssl_tls13_generic ssl_tls13_keys \
                 ssl_tls13_server threading version version_features x509 x509_create x509_crl \
                 x509_crt x509_csr x509write x509write_crt x509write_csr) \
               $(addprefix 3rdparty/everest/library/, everest x25519 Hacl_Curve25519_joined)
EVEREST     := build/src/mbedtls/3rdparty/everest/include
mbedtls_INC := -I. -Inet/config -Ibuild/src/mbedtls/include -Ibuild/src/mbedtls/library \
               -I$(EVEREST) -I$(EVEREST)/everest -I$(EVEREST)/everest/kremlib \
               -DMBEDTLS_CONFIG_FILE='<mbedtls_config.h>'
mbedtls_CONFIG := net/config/mbedtls_config.h net/config/threading_alt.h

zlib_SRC    := adler32 compress crc32 deflate inffast inflate inftrees trees uncompr zutil

# Frames and header compression; no sockets of its own. Its clock (nghttp2_time) is in net/http2.c.
nghttp2_SRC := $(addprefix lib/nghttp2_, alpn buf callbacks debug extpri frame hd hd_huffman hd_huffman_data \
                 helper http map mem option outbound_item pq priority_spec queue ratelim rcbuf \
                 session stream submit version) lib/sfparse
nghttp2_INC := -include net/config/nghttp2_config.h -Ibuild/src/nghttp2/lib/includes -DNGHTTP2_STATICLIB \
               -DNDEBUG
nghttp2_CONFIG := net/config/nghttp2_config.h

INC_net     := -isystem net/config -isystem build/src/lwip/src/include -isystem build/src/mbedtls/include \
               -isystem $(EVEREST) -isystem build/src/zlib -isystem build/src/nghttp2/lib/includes \
               -DMBEDTLS_CONFIG_FILE='<mbedtls_config.h>'
