"""How well scores agree with people, with the severity of distortions, and with float32."""
