"""Where clients go in: by a plain socket, by TLS, or by a stream of HTTP/2 over either."""
import ssl

from channels import VERSIONS, Channel, TLSChannel
from multiplexing import H2Connection


class Doors:
    """Where the gateway is entered."""

    def __init__(self, loop, port, tls_port, trusted, random):
        self.loop, self.port, self.tls_port, self.random = loop, port, tls_port, random
        self.contexts = {}
        for version in VERSIONS:
            for protocol in (None, "h2"):
                context = self.contexts[version, protocol] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.minimum_version = context.maximum_version = version
                if protocol:
                    context.set_alpn_protocols([protocol, "http/1.1"])
                for file in trusted:
                    context.load_verify_locations(file)
        # The session of each version and protocol that ended last.
        self.sessions = {}
        self.handshakes = self.asked = self.resumptions = 0
        # Connections of HTTP/2, and how many there were.
        self.shared, self.connections, self.streams = [], 0, 0

    def open(self, random, receive_buffer):
        way = random.random()
        if way < 0.3:
            return Channel(self.port, receive_buffer)
        if way < 0.6:
            return TLSChannel(self.tls_port, receive_buffer, self, random.choice(VERSIONS))
        return self.stream(random, receive_buffer)

    def stream(self, random, receive_buffer):
        """Of a connection that is there, or of a new one."""
        self.shared = [each for each in self.shared if not each.has_ended]
        self.streams += 1
        if (open_ones := [each for each in self.shared if each.has_room()]) and random.random() < 0.9:
            return random.choice(open_ones).open(random)
        is_secret = random.random() < 0.5
        under = (TLSChannel(self.tls_port, receive_buffer, self, random.choice(VERSIONS), "h2") if is_secret
                 else Channel(self.port, receive_buffer))
        self.shared.append(H2Connection(self.loop, under, random, "https" if is_secret else "http"))
        self.connections += 1
        return self.shared[-1].open(random)

    def shaken(self, channel):
        self.handshakes += 1
        self.asked += channel.asks
        self.resumptions += bool(channel.layer.session_reused)
        if channel.layer.selected_alpn_protocol() != channel.protocol:
            self.loop.faults.append(f"{channel.layer.selected_alpn_protocol()!r} was agreed on, asked for was {channel.protocol!r}")

    def tick(self):
        for each in self.shared:
            each.tick()

    def is_lingering(self):
        """Whether streams are there that their clients have left."""
        return any(each.channels for each in self.shared if not each.has_ended)

    def close(self):
        """All have left."""
        for each in self.shared:
            each.close()
        self.shared.clear()
