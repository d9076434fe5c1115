"""The words a hardware profile may use: sections, keys, units.

`hw_profiles/README.md` is the same schema in prose; a test keeps the two together.
"""

from __future__ import annotations

KINDS = ("code", "published", "derived", "recalled", "own measurement")
FAMILIES = ("neuromorphic", "dense")

# Key: (unit, meaning). A key with another unit is a fault, so that no reader converts units.
CHIP: dict[str, tuple[str, str]] = {
    "process": ("nm", "feature size of the process"),
    "process_name": ("", "name of the process, where it is not a length"),
    "area": ("mm2", "die area"),
    "chips": ("chips", "chips in the system"),
    "cores": ("cores", "neuron cores per chip"),
    "usable_cores": ("cores", "neuron cores per chip left to users"),
    "processors": ("cores", "embedded general processors per chip"),
    "cores_per_tile": ("cores", "neuron cores that share a router"),
    "mesh_columns": ("tiles", "tiles from west to east"),
    "mesh_rows": ("tiles", "tiles from south to north"),
    "speed_up": ("1", "model time over wall-clock time"),
    "synop_rate": ("Gop/s", "synaptic operations per second and core, at peak"),
    "update_rate": ("Gop/s", "neuron updates per second and core, at peak"),
    "throughput_fp16": ("TFLOP/s", "dense FP16 throughput, a multiply-accumulate being two"),
    "throughput_int8": ("TOP/s", "INT8 throughput, a multiply-accumulate being two"),
    "bandwidth": ("TB/s", "memory bandwidth"),
    "host_step": ("us", "measured steps that the host feeds; they are shown, never added"),
    "pipeline_latency": ("us", "latency of one published network, input to output"),
}
LIMITS: dict[str, tuple[str, str]] = {
    "neurons_per_core": ("neurons", "neurons in one core"),
    "neurons_per_chip": ("neurons", "neurons in one chip"),
    "synapses_per_chip": ("synapses", "synapses in one chip"),
    "memory_per_core": ("bytes", "all memory of one core"),
    "synapse_memory_per_core": ("bits", "memory of one core for synapses"),
    "dense_synapse_bits": ("bits", "memory of one synapse of a dense layer, its index included"),
    "conv_neurons_per_core": ("neurons", "neurons in one core of a convolution, by the compiler"),
    "cutting": ("", "how the chip's compiler cuts layers over cores"),
    "hangs_from_conv_input": ("neurons", "inputs of a first convolution that a board hung at"),
    "synapse_entry": ("", "how synapses are packed into that memory"),
    "neuron_memory": ("", "how neurons are packed into memory"),
    "kernel_memory": ("", "how kernels are packed into memory"),
    "axons_in_per_core": ("axons", "input axons of one core"),
    "axons_out_per_core": ("axons", "output axons of one core"),
    "fan_in": ("synapses", "synapses onto one neuron"),
    "fan_out": ("synapses", "synapses from one neuron"),
    "destinations_per_core": ("cores", "cores that one core may send to"),
    "targets_per_neuron": ("cores", "cores that one neuron may send to"),
    "inputs": ("neurons", "input channels"),
    "hidden": ("neurons", "hidden neurons"),
    "outputs": ("neurons", "output neurons"),
    "weight_bits": ("bits", "weight widths the chip stores"),
    "weight_exponent": ("", "range of the weight exponent"),
    "index_bits": ("bits", "synapse index widths the chip stores"),
    "decay_bits": ("bits", "width of a decay"),
    "threshold": ("", "range of the threshold"),
    "threshold_bits": ("bits", "width of the threshold"),
    "bias": ("", "range of the bias"),
    "bias_bits": ("bits", "width of the bias"),
    "membrane_bits": ("bits", "width of the membrane, sign included"),
    "current_bits": ("bits", "width of the synaptic current, sign not included"),
    "accumulator_bits": ("bits", "width of the input accumulator, sign not included"),
    "refractory": ("steps", "refractory period"),
    "delay": ("steps", "axonal or synaptic delay"),
    "delay_default": ("steps", "longest delay with the full number of neurons"),
    "message_bits": ("bits", "payload of a graded spike"),
    "reset": ("", "ways to reset the membrane"),
    "neuron_model": ("", "neuron models"),
    "convolution_sharing": ("", "whether kernels are stored once"),
    "input_size": ("pixels", "largest input side"),
    "output_size": ("pixels", "largest output side of a layer"),
    "channels": ("channels", "channels of a layer"),
    "kernel_size": ("pixels", "largest kernel side"),
    "stride": ("pixels", "strides the chip has"),
    "padding": ("pixels", "paddings the chip has"),
    "pooling": ("pixels", "sum pools the chip has"),
    "quantisation": ("", "how one layer is quantised"),
    "event_rate": ("Gop/s", "synaptic operations per second before the chip stalls"),
}
GROUP: dict[str, tuple[str, str]] = {
    "kernel_entries": ("entries", "kernel memory of one core"),
    "neuron_entries": ("entries", "neuron memory of one core"),
    "bias_entries": ("entries", "bias memory of one core"),
}
ENERGY: dict[str, tuple[str, str]] = {
    "synop": ("pJ", "one synaptic operation"),
    "synop_conv": ("pJ", "one synaptic operation of a convolution; goes before synop"),
    "synop_dense": ("pJ", "one synaptic operation of a dense layer; goes before synop"),
    "synop_all_in": ("pJ", "one synaptic operation with everything the chip used meanwhile"),
    "neuron_update": ("pJ", "one neuron update, whatever the neuron does"),
    "neuron_update_inactive": ("pJ", "one update of an inactive neuron"),
    "neuron_update_active": ("pJ", "one update of an active neuron"),
    "spike_out": ("pJ", "one neuron sending a spike, on top of its update"),
    "axon_out": ("pJ", "one spike message leaving a core"),
    "axon_in": ("pJ", "one spike message entering a core"),
    "spike_in_tile": ("pJ", "one spike message within a tile"),
    "hop_east_west": ("pJ", "one hop of a spike message to the next tile, east or west"),
    "hop_north_south": ("pJ", "one hop of a spike message to the next tile, north or south"),
    "synchronisation": ("pJ", "one barrier"),
    "model_factor": ("1", "what every energy of the set is multiplied with: its stated error"),
    "mac": ("pJ", "one multiply-accumulate, precision as the source has it"),
    "mac_int8": ("pJ", "one 8-bit multiply with accumulation"),
    "mac_fp16": ("pJ", "one FP16 multiply-accumulate"),
    "mac_fp32": ("pJ", "one FP32 multiply-accumulate"),
    "mac_int32": ("pJ", "one 32-bit integer multiply-accumulate"),
    "accumulate_int": ("pJ", "one integer addition"),
    "accumulate_fp32": ("pJ", "one FP32 addition"),
    "sram_byte": ("pJ", "one byte read from or written to on-chip memory"),
}
TIME: dict[str, tuple[str, str]] = {
    key: ("ns", meaning)
    for key, (_, meaning) in ENERGY.items()
    if key.startswith(("synop", "neuron", "spike", "axon", "hop"))
} | {
    "barrier": ("ns", "one barrier on one chip"),
    "barrier_many_chips": ("ns", "one barrier over many chips"),
    "step": ("ns", "a fixed time step"),
    "model_factor": ("1", "what the work of a core is multiplied with: the set's stated error"),
}
POWER: dict[str, tuple[str, str]] = {
    "static": ("mW", "power per chip with nothing to do"),
    "running": ("mW", "power per chip at work, all in, where it hardly depends on the network"),
    "maximum": ("mW", "greatest power of the whole system"),
}
VARIANT = {"energy": ENERGY, "time": TIME}
FORMS = ("value", "low", "high", "values", "text", "unknown")
TOP = (
    "schema", "name", "title", "family", "summary", "notes", "extends", "sources", "chip",
    "limits", "core_groups", "power", "variants", "bounds",
)  # fmt: skip
