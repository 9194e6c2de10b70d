/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine whose processor has no AES, for programs linked with
 * -Wl,--wrap=crypto_aead_aes256gcm_is_available: while the variable
 * CASEBOUND_TEST_NO_AES is set, libsodium is said to lack the cipher.
 */
#include <stdlib.h>

int __wrap_crypto_aead_aes256gcm_is_available(void);
int __real_crypto_aead_aes256gcm_is_available(void);

int __wrap_crypto_aead_aes256gcm_is_available(void)
{
    return getenv("CASEBOUND_TEST_NO_AES") == NULL
               ? __real_crypto_aead_aes256gcm_is_available()
               : 0;
}
