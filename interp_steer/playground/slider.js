// The browser's own slider: what has the focus has the role, the name, the value and the keys, without a word from here.
export default {
  template: `<input type="range" class="slider" :min="min" :max="max" :step="step" :value="modelValue"
    @input="$emit('update:modelValue', Number($event.target.value))" />`,
  props: { modelValue: Number, min: Number, max: Number, step: Number },
  emits: ["update:modelValue"],
};
