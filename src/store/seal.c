#include "store/seal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "net/tls.h"

#define VERSION 1
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define OVERHEAD (1 + NONCE_SIZE + TAG_SIZE)

static void must(int ok)
{
	if (!ok)
		mem_exhausted("AES-GCM");
}

void seal(const struct secret *key, struct span place, struct span plain,
	  struct buf *sealed)
{
	EVP_CIPHER_CTX *ctx;
	unsigned char *out;
	int n;

	assert(key->len == SEAL_KEY_SIZE && plain.len < INT32_MAX);
	tls_memory();
	ctx = EVP_CIPHER_CTX_new();
	out = (unsigned char *)buf_reserve(sealed, plain.len + OVERHEAD);
	out[0] = VERSION;
	random_bytes(out + 1, NONCE_SIZE);
	must(ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL,
				       (const unsigned char *)key->data,
				       out + 1));
	must(EVP_EncryptUpdate(ctx, NULL, &n,
			       (const unsigned char *)place.data,
			       (int)place.len));
	must(EVP_EncryptUpdate(ctx, out + 1 + NONCE_SIZE, &n,
			       (const unsigned char *)plain.data,
			       (int)plain.len));
	must(EVP_EncryptFinal_ex(ctx, out + 1 + NONCE_SIZE + n, &n));
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE,
				 out + 1 + NONCE_SIZE + plain.len));
	buf_commit(sealed, plain.len + OVERHEAD);
	EVP_CIPHER_CTX_free(ctx);
}

bool seal_open(const struct secret *key, struct span place, struct span sealed,
	       struct secret *plain)
{
	const unsigned char *in = (const unsigned char *)sealed.data;
	struct buf out = BUF_SECRET;
	unsigned char tag[TAG_SIZE];
	EVP_CIPHER_CTX *ctx;
	bool opened;
	size_t len;
	int n;

	assert(key->len == SEAL_KEY_SIZE);
	if (sealed.len < OVERHEAD || in[0] != VERSION)
		return false;
	tls_memory();
	len = sealed.len - OVERHEAD;
	memcpy(tag, in + sealed.len - TAG_SIZE, TAG_SIZE);
	ctx = EVP_CIPHER_CTX_new();
	must(ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL,
				       (const unsigned char *)key->data,
				       in + 1));
	must(EVP_DecryptUpdate(ctx, NULL, &n,
			       (const unsigned char *)place.data,
			       (int)place.len));
	must(EVP_DecryptUpdate(ctx, (unsigned char *)buf_reserve(&out, len + 1),
			       &n, in + 1 + NONCE_SIZE, (int)len));
	buf_commit(&out, len);
	must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag));
	opened = EVP_DecryptFinal_ex(ctx, tag, &n) > 0;
	if (opened)
		secret_set(plain, buf_span(&out));
	EVP_CIPHER_CTX_free(ctx);
	buf_clear(&out);
	return opened;
}

/* True when the file was there; its size must be right and others kept out. */
static bool read_key(const char *path, struct secret *key, bool *bad,
		     struct buf *why)
{
	char raw[SEAL_KEY_SIZE + 1];
	struct stat st;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT)
		return false;
	*bad = true;
	if (fd < 0 || fstat(fd, &st) < 0 ||
	    (n = read(fd, raw, sizeof(raw))) < 0) {
		buf_printf(why, "cannot read the sealing key %s: %s", path,
			   strerror(errno));
	} else if (st.st_mode & 077) {
		buf_printf(why, "the sealing key %s may be read by others; "
				"expected mode 0600", path);
	} else if (n != SEAL_KEY_SIZE) {
		buf_printf(why, "the sealing key %s has %zd bytes, expected %d",
			   path, n, SEAL_KEY_SIZE);
	} else {
		secret_set(key, span_of(raw, SEAL_KEY_SIZE));
		*bad = false;
	}
	mem_wipe(raw, sizeof(raw));
	if (fd >= 0)
		close(fd);
	return true;
}

static bool sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool synced = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return synced;
}

/*
 * Made under a temporary name, synced, then renamed and the folder synced: a
 * crash in between leaves either no key or a whole one.
 */
static bool make_key(const char *dir, const char *path, struct secret *key,
		     struct buf *why)
{
	char *temp = mem_printf("%s.new", path), raw[SEAL_KEY_SIZE];
	bool made;
	int fd;

	(void)unlink(temp); /* left by a crash */
	random_bytes(raw, sizeof(raw));
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	made = fd >= 0 && write(fd, raw, sizeof(raw)) == sizeof(raw) &&
	       fsync(fd) == 0 && rename(temp, path) == 0 && sync_dir(dir);
	if (made)
		secret_set(key, span_of(raw, sizeof(raw)));
	else
		buf_printf(why, "cannot make the sealing key %s: %s", path,
			   strerror(errno));
	if (fd >= 0)
		close(fd);
	mem_wipe(raw, sizeof(raw));
	mem_free(temp);
	return made;
}

static bool take_key(const struct secret *given, struct secret *key,
		     struct buf *why)
{
	if (given->len != SEAL_KEY_SIZE) {
		buf_printf(why, "the sealing key that is given has %zu bytes, "
				"expected %d", given->len, SEAL_KEY_SIZE);
		return false;
	}
	secret_copy(key, given);
	return true;
}

bool seal_key_load(const char *dir, const struct secret *given,
		   struct secret *key, struct buf *why)
{
	bool bad = false;
	char *own;

	if (given)
		return take_key(given, key, why);
	own = mem_printf("%s/seal.key", dir);
	if (!read_key(own, key, &bad, why))
		bad = !make_key(dir, own, key, why);
	mem_free(own);
	return !bad;
}
