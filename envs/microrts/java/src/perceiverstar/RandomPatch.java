package perceiverstar;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandles;

/**
 * Loads a class of the game with java.util.Random exchanged for ThreadRandom.
 *
 * Some classes make a new generator each time they throw dice, which no seed reaches. Their names for the generator are
 * entries of the class file's constant pool, and are exchanged there before the class is loaded.
 */
final class RandomPatch {
    private static final int MAGIC = 0xCAFEBABE;
    private static final int UTF8 = 1;
    private static final String OLD = "java/util/Random";
    private static final String NEW = "perceiverstar/ThreadRandom";

    private RandomPatch() {}

    /**
     * Loads a class with the exchange made.
     *
     * @param neighbour a class of the same package that does not load the class by being loaded itself
     */
    static void load(String className, String neighbour) throws ReflectiveOperationException, IOException {
        ClassLoader loader = RandomPatch.class.getClassLoader();
        Class<?> host = Class.forName(neighbour, false, loader);
        try (InputStream original = loader.getResourceAsStream(className.replace('.', '/') + ".class")) {
            if (original == null) {
                throw new ClassNotFoundException(className);
            }
            MethodHandles.privateLookupIn(host, MethodHandles.lookup()).defineClass(patched(original));
        }
    }

    private static byte[] patched(InputStream original) throws IOException {
        DataInputStream in = new DataInputStream(original);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        if (in.readInt() != MAGIC) {
            throw new IOException("not a class file");
        }
        out.writeInt(MAGIC);
        out.writeInt(in.readInt()); // version
        int entries = in.readUnsignedShort();
        out.writeShort(entries);
        for (int entry = 1; entry < entries; entry++) {
            int tag = in.readUnsignedByte();
            out.writeByte(tag);
            if (tag == UTF8) {
                String text = in.readUTF();
                out.writeUTF(text.equals(OLD) ? NEW : text.replace("L" + OLD + ";", "L" + NEW + ";"));
            } else {
                out.write(in.readNBytes(size(tag)));
                entry += tag == 5 || tag == 6 ? 1 : 0; // long and double take two entries
            }
        }
        in.transferTo(out);
        return bytes.toByteArray();
    }

    /** The length of a constant after its tag (Java Virtual Machine Specification, table 4.4-A). */
    private static int size(int tag) throws IOException {
        switch (tag) {
            case 7: case 8: case 16: case 19: case 20:
                return 2;
            case 15:
                return 3;
            case 3: case 4: case 9: case 10: case 11: case 12: case 17: case 18:
                return 4;
            case 5: case 6:
                return 8;
            default:
                throw new IOException("unknown constant " + tag);
        }
    }
}
