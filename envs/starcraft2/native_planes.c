/* Unpacks the minimap's images from the answer they came in: the fast twin of planes.write_minimap. */
#include "native_messages.h"

enum { BITS_PER_PIXEL = 1, SIZE = 2, DATA = 3, MOST_PLANES = 16 };

typedef struct {
    uint64_t bits, width, height;
    Reader data;
} Image;

static int read_size(Reader reader, Image *image) {
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader);
        if (key == (1 << 3 | VARINT)) image->width = read_varint(&reader);
        else if (key == (2 << 3 | VARINT)) image->height = read_varint(&reader);
        else skip(&reader, key & 7);
    }
    return reader.failed;
}

static int read_image(Reader reader, Image *image) {
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader);
        if (key == (BITS_PER_PIXEL << 3 | VARINT)) image->bits = read_varint(&reader);
        else if (key == (SIZE << 3 | BYTES)) propagate(&reader, read_size(read_bytes(&reader), image));
        else if (key == (DATA << 3 | BYTES)) image->data = read_bytes(&reader);
        else skip(&reader, key & 7);
    }
    return reader.failed;
}

/* Fills a plane of `pixels` from an image of 8 bits or 1 bit; `bits` has the 8 pixels of each byte. */
static int unpack(const Image *image, int64_t pixels, const uint64_t *bits, uint8_t *plane) {
    int64_t length = image->data.end - image->data.next;
    if (image->bits == 8 && length >= pixels) {
        memcpy(plane, image->data.next, (size_t)pixels);
        return 0;
    }
    if (image->bits != 1 || pixels % 8 != 0 || length < pixels / 8) return 1;
    for (int64_t index = 0; index < pixels / 8; index++)
        memcpy(plane + 8 * index, bits + image->data.next[index], 8);
    return 0;
}

/* Fills planes [num_planes][height][width] with the images of these fields of the message at the end of `path`, zeros
 * for those that are left out. Returns -1 where an image is none of the two kinds or of another size, or there are
 * several messages: planes are then half filled. */
int64_t perceiver_star_minimap(const uint8_t *bytes, int64_t size, const int32_t *path, int64_t depth,
                               const int32_t *fields, int64_t num_planes, int64_t width, int64_t height,
                               const uint64_t *bits, uint8_t *planes) {
    Image images[MOST_PLANES] = {0};
    Reader whole = {bytes, bytes + size, 0}, reader = whole;
    int64_t pixels = width * height;
    if (num_planes > MOST_PLANES || find_message(whole, path, depth, &reader) != 1) return -1;
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader);
        int64_t plane = 0;
        while (plane < num_planes && key != ((uint64_t)fields[plane] << 3 | BYTES)) plane++;
        if (plane == num_planes) skip(&reader, key & 7);
        else if (read_image(read_bytes(&reader), images + plane)) return -1;
    }
    if (reader.failed) return -1;
    for (int64_t plane = 0; plane < num_planes; plane++, planes += pixels) {
        const Image *image = images + plane;
        if (image->width == 0 || image->height == 0) memset(planes, 0, (size_t)pixels);
        else if (image->width != (uint64_t)width || image->height != (uint64_t)height) return -1;
        else if (unpack(image, pixels, bits, planes)) return -1;
    }
    return 0;
}
