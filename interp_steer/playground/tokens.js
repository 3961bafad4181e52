// Tokens as they come, colored by their cosine with a direction. Text goes through Vue's interpolation: it stays text.
export default {
  template: `
    <div><p class="tokens" dir="auto"><span v-for="(token, i) in tokens" :key="i" :class="{ read: token.cosine !== null }"
      :style="shade(token.cosine)" :title="said(token)">{{ token.text }}</span></p>
    <details v-if="tokens.length" class="cosines" @toggle="open = $event.target.open"><summary>Cosine of every token</summary>
      <div v-if="open" tabindex="0" role="region" aria-label="Cosine of every token"><table>
        <thead><tr><th scope="col">Token</th><th scope="col">Cosine</th></tr></thead>
        <tbody><tr v-for="(token, i) in tokens" :key="i"><td dir="auto">{{ token.text }}</td><td>{{ number(token.cosine) }}</td></tr></tbody>
      </table></div></details></div>`,
  props: { bound: Number },
  data() {
    return { tokens: [], open: false };
  },
  methods: {
    // Pieces are [text, cosine of the token before it or null].
    append(pieces) {
      for (const [text, before] of pieces) {
        if (before !== null && this.tokens.length) this.tokens[this.tokens.length - 1].cosine = before;
        this.tokens.push({ text, cosine: null });
      }
    },
    shade(cosine) {
      if (cosine === null) return {};
      const share = Math.min(1, Math.abs(cosine) / this.bound);
      const side = cosine < 0 ? "var(--against)" : "var(--along)";
      return { background: `color-mix(in srgb, ${side} ${Math.round(100 * share)}%, transparent)` };
    },
    said(token) {
      return token.cosine === null ? "not read" : `cosine ${this.number(token.cosine)}`;
    },
    number(cosine) {
      return cosine === null ? "not read" : cosine.toFixed(3).replace("-", "−");
    },
  },
};
