package shared.tls;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/// A certificate for `localhost` that nobody but its own context trusts.
public final class Certificate {
    private static final String PASSWORD = "secret"; // of a file that is gone at once

    private Certificate() {}

    /// Makes a key and its certificate with the JDK's `keytool`, which takes about a second.
    ///
    /// @return a context that serves with it and, as a client, trusts it alone
    /// @throws IOException where `keytool` cannot be run or fails
    public static SSLContext forLocalhost() throws IOException {
        Path folder = Files.createTempDirectory("certificate");
        Path file = folder.resolve("keys.p12");
        try {
            Process keytool = new ProcessBuilder(
                    Path.of(System.getProperty("java.home"), "bin", "keytool")
                            .toString(),
                    "-genkeypair", "-alias", "it", "-keyalg", "EC", "-dname",
                    "CN=localhost", "-ext", "san=dns:localhost", "-storetype", "PKCS12",
                    "-keystore", file.toString(), "-storepass", PASSWORD)
                    .redirectErrorStream(true).start();
            String said = new String(keytool.getInputStream().readAllBytes());
            if (keytool.waitFor() != 0) throw new IOException("keytool: " + said);
            return context(file);
        } catch (GeneralSecurityException e) {
            throw new IOException(e);
        } catch (InterruptedException e) {
            throw new IOException("keytool was interrupted", e);
        } finally {
            Files.deleteIfExists(file);
            Files.delete(folder);
        }
    }

    private static SSLContext context(Path file)
            throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(file)) {
            store.load(in, PASSWORD.toCharArray());
        }
        var keys = KeyManagerFactory
                .getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, PASSWORD.toCharArray());
        var trust = TrustManagerFactory
                .getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }
}
